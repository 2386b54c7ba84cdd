"""A CLIP model behind one small interface; the only importer of open_clip."""

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from inference.errors import ModelUnusable
from inference.lora import SeparateAttention, separate_attention
from inference.stem import ConvStem
from inference.torchvision_compat import make_torchvision_importable

make_torchvision_importable()

import open_clip  # noqa: E402  needs torchvision

LOCAL = "local-dir:"
VOCABULARY_FILE, STEM_FILE = "vocabulary.json", "stem.json"
WEIGHTS_FILE = "open_clip_model.safetensors"


class BackboneSettings(BaseModel):
    """Which CLIP model, and where its weights come from.

    `name` is a model of open_clip with `pretrained` a tag of it or a checkpoint's path;
    or `hf-hub:owner/model`; or `local-dir:folder`, the folder relative to the model card.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    pretrained: str | None = None
    random_weights: bool = False  # for tests, and for what is about to be trained

    @model_validator(mode="after")
    def _weights_come_from_somewhere(self) -> "BackboneSettings":
        from_name = self.name.startswith((LOCAL, "hf-hub:"))
        if not from_name and not self.pretrained and not self.random_weights:
            raise ValueError("name `pretrained` weights for this backbone")
        return self


class Backbone(nn.Module):
    """Image and text towers with a common feature space.

    Attributes
    ----------
    image_size : int, pixels along each edge of an input image
    mean, std : three numbers each, the normalisation of input images
    features : int, width of the common space
    grid : (rows, columns) of image tokens
    """

    def __init__(self, clip: nn.Module, tokenizer: "Tokenizer") -> None:
        super().__init__()
        clip.requires_grad_(requires_grad=False)
        separate_attention(clip)
        self.clip = clip
        self.tokenizer = tokenizer
        visual: Any = clip.visual
        self.image_size = int(visual.image_size[0])
        self.mean = _three(visual.preprocess_cfg["mean"])
        self.std = _three(visual.preprocess_cfg["std"])
        with torch.no_grad():
            self.features = int(self.encode_texts(self.tokenize(["nodule"])).shape[1])

    @property
    def grid(self) -> tuple[int, int]:
        visual: Any = self.clip.visual
        if not hasattr(visual, "grid_size"):
            raise ModelUnusable("This image tower has no grid of tokens to explain.")
        rows, columns = visual.grid_size
        return rows, columns

    def encode_images(self, images: torch.Tensor) -> torch.Tensor:
        """Return the projected features (n, features) of images (n, 3, size, size)."""
        clip: Any = self.clip
        encoded: torch.Tensor = clip.encode_image(images)
        return encoded

    def encode_texts(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the projected features (n, features) of tokenized texts (n, context)."""
        clip: Any = self.clip
        encoded: torch.Tensor = clip.encode_text(tokens)
        return encoded

    def tokenize(self, texts: list[str]) -> torch.Tensor:
        """Return token numbers (n, context), int64; longer texts are cut.

        Raises:
            ModelUnusable: a text has a word the backbone never learned.
        """
        return self.tokenizer(texts)

    def save(self, model_config: dict[str, Any], folder: Path) -> None:
        """Write the folder that `local-dir:` reads: open_clip's own format.

        `model_config` is the open_clip configuration the backbone was built from. The widths
        of convolutions before the transformer (`inference/stem.py`) have a file of their own.
        """
        state = self.clip.state_dict()
        for name, module in self.clip.named_modules():
            if isinstance(module, SeparateAttention):
                for part in [key for key in state if key.startswith(f"{name}.")]:
                    del state[part]
                state |= {f"{name}.{key}": value for key, value in module.joined_state().items()}
        config = {
            "model_cfg": model_config,
            "preprocess_cfg": {"mean": list(self.mean), "std": list(self.std)},
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
        save_file(
            {name: tensor.contiguous() for name, tensor in state.items()},
            folder / WEIGHTS_FILE,
        )
        self.tokenizer.save(folder)
        visual: Any = self.clip.visual
        if isinstance(visual.conv1, ConvStem):
            (folder / STEM_FILE).write_text(json.dumps(list(visual.conv1.widths)) + "\n")

    @contextmanager
    def last_attention(self) -> Iterator[list[torch.Tensor]]:
        """Within the block, gather the last image attention of each call of `encode_images`.

        Each is (n, heads, tokens, tokens), a leaf that requires a gradient: a backward pass
        reaches it and stops there. The class token comes first.

        Raises:
            ModelUnusable: the image tower is not a transformer of open_clip.
        """
        visual: Any = self.clip.visual
        try:
            attention = visual.transformer.resblocks[-1].attn
        except AttributeError as error:
            raise ModelUnusable("This image tower has no attention to explain.") from error
        gathered: list[torch.Tensor] = []

        def become_a_leaf(
            _module: nn.Module, _inputs: Any, probabilities: torch.Tensor
        ) -> torch.Tensor:
            leaf = probabilities.detach().requires_grad_()
            gathered.append(leaf)
            return leaf

        hook = attention.attn_drop.register_forward_hook(become_a_leaf)
        attention.fused = False
        try:
            yield gathered
        finally:
            attention.fused = True
            hook.remove()


def _three(values: Iterable[float]) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


class Tokenizer:
    """open_clip's tokenizer, or the part of it that a small backbone has learned.

    A vocabulary is the ascending list of token numbers kept; the numbers the network sees
    are their places in it. Order is kept, so the end of text stays the highest.
    """

    def __init__(self, tokenize: Any, vocabulary: list[int] | None = None) -> None:
        self._tokenize = tokenize
        self._vocabulary = None if vocabulary is None else torch.tensor(vocabulary)

    def save(self, folder: Path) -> None:
        if self._vocabulary is not None:
            kept = json.dumps(self._vocabulary.tolist())
            (folder / VOCABULARY_FILE).write_text(kept + "\n")

    def __call__(self, texts: list[str]) -> torch.Tensor:
        tokens: torch.Tensor = self._tokenize(texts)
        if self._vocabulary is None:
            return tokens
        places = torch.searchsorted(self._vocabulary, tokens).clamp(max=len(self._vocabulary) - 1)
        unknown = (self._vocabulary[places] != tokens).any(dim=1)
        if unknown.any():
            text = texts[int(unknown.nonzero()[0])]
            raise ModelUnusable(f'The backbone has not learned every word of "{text}".')
        return places


def full_tokenizer(context: int) -> Any:
    """Return the tokenizer of OpenAI's CLIP, texts -> (n, context)."""
    return open_clip.SimpleTokenizer(context_length=context)


def new_backbone(
    model_config: dict[str, Any], vocabulary: list[int], stem: ConvStem | None = None
) -> Backbone:
    """Build an open_clip model of this configuration, with random weights."""
    clip: nn.Module = open_clip.CLIP(**model_config)
    if stem:
        put_stem(clip, stem)
    open_clip.set_model_preprocess_cfg(
        clip, {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    )
    tokenize = full_tokenizer(model_config["text_cfg"]["context_length"])
    return Backbone(clip, Tokenizer(tokenize, vocabulary))


def put_stem(clip: nn.Module, stem: ConvStem) -> None:
    """Put convolutions where the image tower cuts patches.

    Raises:
        ModelUnusable: tokens would be of another size, or another width.
    """
    visual: Any = clip.visual
    cut: Any = visual.conv1
    here, wanted = (stem.widths[-1], stem.patch), (cut.out_channels, cut.kernel_size[0])
    if here != wanted:
        raise ModelUnusable(f"{STEM_FILE}: tokens are {here} (width, pixels), not {wanted}.")
    visual.conv1 = stem


@contextmanager
def _without_warnings(silent: bool) -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING if silent else before)
    try:
        yield
    finally:
        logging.disable(before)


def load_backbone(settings: BackboneSettings, folder: Path) -> Backbone:
    """Load a backbone; `folder` is what a `local-dir:` is relative to.

    Raises:
        ModelUnusable: there are no such weights, or they do not fit.
    """
    name = settings.name
    vocabulary = None
    if name.startswith(LOCAL):
        local = (folder / name.removeprefix(LOCAL)).resolve()
        name = f"{LOCAL}{local}"
        if (local / VOCABULARY_FILE).is_file():
            vocabulary = json.loads((local / VOCABULARY_FILE).read_text())
    stem = None
    if name.startswith(LOCAL) and (local / STEM_FILE).is_file():
        stem = ConvStem(tuple(json.loads((local / STEM_FILE).read_text())))
    load_weights = not settings.random_weights and stem is None
    pretrained = settings.pretrained
    if pretrained and (folder / pretrained).is_file():
        pretrained = str(folder / pretrained)
    try:
        with _without_warnings(stem is not None):  # that weights are random: they come below
            clip = open_clip.create_model(
                name,
                pretrained=pretrained if load_weights else None,
                load_weights=load_weights,
                require_pretrained=load_weights,
            )
        if stem:
            put_stem(clip, stem)
            if not settings.random_weights:
                clip.load_state_dict(load_file(local / WEIGHTS_FILE))
        tokenize = open_clip.get_tokenizer(name)
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise ModelUnusable(
            f"The backbone {settings.name} ({settings.pretrained or 'its own weights'}) cannot be "
            f"loaded: {str(error).strip().splitlines()[0]}"
        ) from error
    return Backbone(clip, Tokenizer(tokenize, vocabulary))
