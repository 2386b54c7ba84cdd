"""A model folder: its card, weights, calibration and prompts, loaded once, known by a hash."""

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from inference.backbone import BackboneSettings, load_backbone
from inference.calibration import Calibration
from inference.errors import ModelUnusable
from inference.lora import LoraSettings
from inference.network import NoduleNetwork
from inference.preprocess import HIGHEST_HU, LOWEST_HU, PLANE_MM
from inference.prompts import FEATURES, Prompts, Validity
from inference.reference import ARRAYS, TABLE, Reference, load_reference
from inference.resampling import CUBE

T = TypeVar("T", bound=BaseModel)

CARD, CALIBRATION, PROMPTS = "card.json", "calibration.json", "prompts.json"


class InputContract(BaseModel):
    """What the network was trained on; anything else is refused when the model loads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cube_mm: int = CUBE
    plane_mm: int = PLANE_MM
    lowest_hu: int = LOWEST_HU
    highest_hu: int = HIGHEST_HU
    planes: int = 9
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class CalibrationPoint(BaseModel):
    """Held out nodules with probabilities from `low` up to and with `high`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float
    n: int
    mean_probability: float
    share: float  # of them that are malignant, or the mean of what stands for it
    lower: float  # 95 %, by bootstrap over patients
    upper: float


class Card(BaseModel):
    """What a model is, for people and for the worker.

    `folds` are the files with LoRA layers and heads, one a fold; their calibrated
    probabilities are averaged. Semantic features absent from `semantic`, or not valid
    there, are never shown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    version: str
    notice: str = Field(description="Shown beside every prediction.")
    demonstration: bool = False
    backbone: BackboneSettings
    lora: LoraSettings = LoraSettings()
    folds: tuple[str, ...] = Field(min_length=1)
    input: InputContract
    token_mm: float
    semantic: dict[str, Validity] = {}
    calibration: tuple[CalibrationPoint, ...] = ()
    calibration_truth: str = Field(default="", description="What `share` is the share of.")
    # What the training command measured; read by people.
    performance: dict[str, Any] = {}
    training: dict[str, Any] = {}


class Calibrations(RootModel[list[Calibration]]):
    """One calibration a fold, in the order of the card."""


@dataclass(frozen=True)
class Model:
    """A loaded model. LoRA is merged; nothing changes any more.

    `prompt_embeddings` holds, for each fold, feature -> category -> (256,) of unit length.
    """

    name: str
    card: Card
    networks: tuple[NoduleNetwork, ...]
    calibrations: tuple[Calibration, ...]
    prompt_embeddings: tuple[dict[str, dict[str, torch.Tensor]], ...]
    hash: str
    weights_hash: str
    device: torch.device
    reference: Reference | None = None

    def describe(self) -> dict[str, Any]:
        """Return the "model" part of a prediction."""
        return {
            "name": self.name,
            "version": self.card.version,
            "hash": self.hash,
            "weights_hash": self.weights_hash,
            "code_hash": code_hash(),
            "demonstration": self.card.demonstration,
            "title": self.card.title,
            "notice": self.card.notice,
            "backbone": self.card.backbone.name.removeprefix("local-dir:"),
            "token_mm": self.card.token_mm,
            "calibration": [point.model_dump() for point in self.card.calibration],
            "calibration_truth": self.card.calibration_truth,
        }


def load_model(name: str, models_dir: Path, device: torch.device) -> Model:
    """Load the model in the folder `name` of `models_dir`.

    Raises:
        PredictionImpossible: there is no such model, or its parts do not fit together.
    """
    folder = models_dir / name
    if Path(name).name != name or not (folder / CARD).is_file():
        known = ", ".join(sorted(path.parent.name for path in models_dir.glob(f"*/{CARD}")))
        raise ModelUnusable(
            f'There is no model "{name}" in {models_dir}; there: {known or "none"}.'
        )
    card = _read(Card, folder / CARD)
    calibrations = tuple(_read(Calibrations, folder / CALIBRATION).root)
    prompts = _read(Prompts, folder / PROMPTS)
    if len(calibrations) != len(card.folds):
        raise ModelUnusable(
            f"Model {name} has {len(card.folds)} folds and {len(calibrations)} calibrations."
        )
    digest = hashlib.sha256()
    networks = tuple(_load_fold(card, folder, fold, digest) for fold in card.folds)
    weights_hash = digest.hexdigest()
    for file in (CARD, CALIBRATION, PROMPTS):
        digest.update((folder / file).read_bytes())
    reference = load_reference(folder, weights_hash)
    if reference:
        for file in (TABLE, ARRAYS):
            digest.update((folder / file).read_bytes())
    for network in networks:
        network.merge()
        network.to(device).eval().requires_grad_(requires_grad=False)
    return Model(
        name=name,
        card=card,
        networks=networks,
        calibrations=calibrations,
        prompt_embeddings=tuple(
            embed_prompts(network, _shown(card, prompts), device) for network in networks
        ),
        hash=digest.hexdigest(),
        weights_hash=weights_hash,
        device=device,
        reference=reference,
    )


def _shown(card: Card, prompts: Prompts) -> Prompts:
    valid = {feature for feature, validity in card.semantic.items() if validity.valid}
    if missing := valid - prompts.root.keys():
        raise ModelUnusable(f"The card calls {', '.join(sorted(missing))} valid without prompts.")
    # In the order of the vocabulary, whatever the order of the files.
    return Prompts({feature: prompts.root[feature] for feature in FEATURES if feature in valid})


def _read(kind: type[T], path: Path) -> T:
    try:
        return kind.model_validate_json(path.read_text())
    except FileNotFoundError as error:
        raise ModelUnusable(f"The model lacks the file {path.name}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise ModelUnusable(f"{path.name}: {where or 'the file'}: {first['msg']}.") from error


def _load_fold(card: Card, folder: Path, file: str, digest: Any) -> NoduleNetwork:
    network = NoduleNetwork(load_backbone(card.backbone, folder), card.lora)
    _check_input(card.input, network)
    try:
        network.load_trained_state(load_file(folder / file))
    except FileNotFoundError as error:
        raise ModelUnusable(f"The model lacks the file {file}.") from error
    except (SafetensorError, ValueError) as error:
        raise ModelUnusable(f"{file} does not fit the model: {error}") from error
    hash_weights(network, digest)
    return network


def _check_input(contract: InputContract, network: NoduleNetwork) -> None:
    backbone = network.backbone
    here = InputContract(size=backbone.image_size, mean=backbone.mean, std=backbone.std)
    if contract != here:
        raise ModelUnusable(
            f"The card's input ({contract.model_dump()}) is not what this code prepares "
            f"({here.model_dump()})."
        )


def hash_weights(network: torch.nn.Module, digest: Any) -> None:
    """Add every weight to a hash: names, types, shapes and values, in the order of names.

    Weights are hashed as loaded, not as files, since those of a hub lie elsewhere.
    """
    for name, tensor in sorted(network.state_dict().items()):
        head = [name, str(tensor.dtype), list(tensor.shape)]
        digest.update(json.dumps(head).encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())


@functools.cache
def code_hash() -> str:
    """Return the sha256 over the Python files of this package."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@torch.no_grad()
def embed_prompts(
    network: NoduleNetwork, prompts: Prompts, device: torch.device
) -> dict[str, dict[str, torch.Tensor]]:
    """Return feature -> category -> (256,): the mean of the category's sentences, unit length."""
    return {
        feature: {
            category: torch.nn.functional.normalize(
                network.texts(network.backbone.tokenize(sentences).to(device)).embedding.mean(0),
                dim=0,
            )
            for category, sentences in categories.items()
        }
        for feature, categories in prompts.root.items()
    }


def choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """Return the device for `wanted`.

    Raises:
        ModelUnusable: CUDA is wanted and there is none.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ModelUnusable("DEVICE=cuda, but torch finds no CUDA device; use auto or cpu.")
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")
