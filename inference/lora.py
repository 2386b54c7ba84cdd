"""Low-rank adaptation of an open_clip backbone by peft.

`nn.MultiheadAttention` keeps q, k and v in one matrix and hands its output projection to
a function, so peft can adapt neither faithfully: it ignores the dropout, shares one A for
q, k and v, and always adapts the output. `separate_attention` puts an equal module with
four Linear layers in its place; LoRA then goes on q, k and v alone.

References
----------
Hu EJ et al. LoRA: low-rank adaptation of large language models. ICLR 2022.
Kalajdzievski D. A rank stabilization scaling factor for fine-tuning with LoRA. 2023.
"""

from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch import nn
from torch.nn import functional

from inference.torchvision_compat import make_torchvision_importable

make_torchvision_importable()

from peft import LoraConfig, inject_adapter_in_model  # noqa: E402  needs torchvision
from peft.tuners.lora import LoraLayer  # noqa: E402


class LoraSettings(BaseModel):
    """The adaptation; the defaults are the method's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = 2
    alpha: int = 1
    dropout: float = 0.25
    # ViT towers of timm and BERT towers have Linear layers of other names.
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj")


class SeparateAttention(nn.Module):
    """Self-attention with q, k, v and output as four Linear layers.

    Stands where open_clip expects an `nn.MultiheadAttention` with `batch_first`. While
    `fused` is false the probabilities, (batch, heads, tokens, tokens), go through the module
    `attn_drop`, where a hook can read or replace them.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.fused = True
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.attn_drop = nn.Identity()

    @classmethod
    def equal_to(cls, attention: nn.MultiheadAttention) -> "SeparateAttention":
        """Make the module that computes what `attention` computes."""
        if not attention.batch_first or attention.in_proj_weight is None or attention.dropout:
            raise ValueError("this attention is not one of open_clip's transformers")
        separate = cls(attention.embed_dim, attention.num_heads)
        with torch.no_grad():
            for name, weight, bias in zip(
                ("q_proj", "k_proj", "v_proj"),
                attention.in_proj_weight.chunk(3),
                attention.in_proj_bias.chunk(3),
                strict=True,
            ):
                separate.get_submodule(name).load_state_dict({"weight": weight, "bias": bias})
            separate.out_proj.load_state_dict(attention.out_proj.state_dict())
        return separate.to(attention.in_proj_weight.device)

    def joined_state(self) -> dict[str, torch.Tensor]:
        """Return the weights as an `nn.MultiheadAttention` keeps them."""
        three = (self.q_proj, self.k_proj, self.v_proj)
        return {
            "in_proj_weight": torch.cat([layer.weight.detach() for layer in three]),
            "in_proj_bias": torch.cat([layer.bias.detach() for layer in three]),
            "out_proj.weight": self.out_proj.weight.detach(),
            "out_proj.bias": self.out_proj.bias.detach(),
        }

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        need_weights: bool = False,
        attn_mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, None]:
        if need_weights:
            raise ValueError("read the probabilities at `attn_drop` instead")
        q = self._by_head(self.q_proj(query))
        k = self._by_head(self.k_proj(key))
        v = self._by_head(self.v_proj(value))
        if self.fused:
            x = functional.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask)
        else:
            scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
            if attn_mask is not None:
                scores = scores + attn_mask
            x = self.attn_drop(scores.softmax(dim=-1)) @ v
        return self.out_proj(x.transpose(1, 2).flatten(2)), None

    def _by_head(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


def separate_attention(network: nn.Module) -> None:
    """Replace every `nn.MultiheadAttention` in `network`; what it computes stays the same."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.MultiheadAttention):
                setattr(parent, name, SeparateAttention.equal_to(child))


def add_lora(network: nn.Module, settings: LoraSettings) -> None:
    """Freeze `network` and add trainable LoRA layers to it."""
    network.requires_grad_(requires_grad=False)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        use_rslora=True,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets),
    )
    inject_adapter_in_model(config, network)


def merge_lora(network: nn.Module) -> int:
    """Fold the LoRA layers into the layers they adapt, and take them out.

    Returns how many there were: a second call finds none, so nothing is added twice.
    """
    count = 0
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LoraLayer):
                layer: Any = child
                layer.merge(safe_merge=True)
                setattr(parent, name, layer.get_base_layer())
                count += 1
    return count
