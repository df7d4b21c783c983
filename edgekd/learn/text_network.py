"""A text model of transformers behind the ends that every network over tokens has here: tokens and their mask."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Literal
from typing import NamedTuple

import torch
from torch import nn

from edgekd.learn import pretrained_decoder
from edgekd.learn.cache import MASKED
from edgekd.learn.cache import CacheSizes
from edgekd.learn.decoder_parts import DecoderParts
from edgekd.learn.transformer import pool_mean

Use = Literal["classes", "tags", "vector", "masked", "next"]
"""What is asked of it: classes of a text, of each token, a vector of the text, what stands behind a mask, or next."""
POOLINGS = ("mean", "cls", "last")
BODY = "network"
"""Path of the package's model."""


class TextType(NamedTuple):
    """How models of one type are called."""

    is_causal: bool = False
    """Whether no token sees those after it."""
    skips_padding: bool = False
    """Whether positions are counted from behind the number of the padding, as RoBERTa does."""
    has_token_types: bool = False
    """Whether it adds an embedding of the first or second text of a pair."""
    makes_mask: bool = False
    """Whether it wants the mask [B, N] as it is, since it has a use of its own for it."""


_DECODER = TextType(is_causal=True)
_ROBERTA = TextType(skips_padding=True, has_token_types=True)
TEXT_TYPES: dict[str, TextType] = {
    "albert": TextType(has_token_types=True),
    "bert": TextType(has_token_types=True),
    "camembert": _ROBERTA,
    "deberta-v2": TextType(makes_mask=True),
    "distilbert": TextType(),
    "electra": TextType(has_token_types=True),
    "mpnet": TextType(skips_padding=True),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "gemma": _DECODER,
    "gemma2": _DECODER,
    "gemma3_text": _DECODER,
    "gpt2": _DECODER,
    "gpt_neox": _DECODER,
    "llama": _DECODER,
    "mistral": _DECODER,
    "olmo2": _DECODER,
    "opt": _DECODER,
    "phi": _DECODER,
    "phi3": _DECODER,
    "qwen2": _DECODER,
    "qwen3": _DECODER,
    "smollm3": _DECODER,
}
"""The model types that are known to build, to answer whatever stands beside a text in its batch, and to export."""


class LayerStack(NamedTuple):
    """The layers of a network, of which some of a larger one were chosen."""

    path: str
    """Of the list; empty where a network has none of so many, as where all layers are one."""
    chosen: tuple[int, ...]
    """Number of each layer in the larger network."""
    of: int
    """Layers of that."""


class TextNetwork(nn.Module):
    """Calls a model of the package by names, and reads what is wanted of its answer."""

    def __init__(
        self,
        network: nn.Module,
        kind: TextType,
        use: Use,
        *,
        first_position: int,
        size: int,
        pooling: str = "",
    ) -> None:
        """
        Args:
            network: a model of transformers.
            kind: how it is called.
            use: what is asked of it.
            first_position: number of the first token's position.
            size: numbers of the last axis that are given: classes, dimensions, or tokens of the data.
            pooling: of a vector, one of `POOLINGS`.
        """
        super().__init__()
        self.network = network
        self.kind, self.use, self.pooling = kind, use, pooling
        self.first_position, self.size = first_position, size
        self.class_names: tuple[str, ...] = ()
        self.stack = LayerStack("", (), 0)
        width = int(network.config.hidden_size)
        if use == "vector" and width != size:
            self.project = nn.Linear(width, size)

    def forward(
        self, tokens: torch.Tensor, mask: torch.Tensor, types: torch.Tensor | None = None
    ) -> torch.Tensor:
        order = torch.arange(tokens.shape[1], device=tokens.device)
        named: dict[str, Any] = {"position_ids": order[None, :] + self.first_position}
        if self.kind.has_token_types:
            named["token_type_ids"] = torch.zeros_like(order)[None, :] if types is None else types
        if self.kind.is_causal:
            named["use_cache"] = False
        found = self.network(input_ids=tokens, attention_mask=self._hide(mask, order), **named)
        if self.use != "vector":
            logits: torch.Tensor = found.logits
            return logits if logits.shape[-1] == self.size else logits[..., : self.size]
        vector = self._pool(found.last_hidden_state, mask)
        if hasattr(self, "project"):
            vector = self.project(vector)
        return vector / vector.square().sum(1, keepdim=True).clamp_min(1e-12).sqrt()

    def cache_sizes(self) -> CacheSizes | None:
        """Return what `decode` keeps of a token; None where it is no text that is written."""
        return pretrained_decoder.find_sizes(self.network) if self._writes() else None

    def read_parts(self) -> DecoderParts:
        """Return its parts.

        Raises:
            ValueError: naming what cannot be told.
        """
        if not self._writes():
            raise ValueError("it writes no text")
        return pretrained_decoder.read_parts(self.network, self.size)

    def decode(
        self, tokens: torch.Tensor, mask: torch.Tensor, past: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        """As `edgekd.learn.cache.Decoder.decode`."""
        logits, *present = pretrained_decoder.decode(self.network, tokens, mask, past)
        return logits[..., : self.size], *present

    def _writes(self) -> bool:
        return self.use == "next" and self.kind.is_causal and not self.first_position

    def _hide(self, mask: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
        """What is added to the scores, [B, 1, 1 or N, N]: the package takes that as it is."""
        if self.kind.makes_mask:
            return mask
        allowed = (mask != 0)[:, None, None, :]
        if self.kind.is_causal:
            allowed = allowed & (order[None, :] <= order[:, None])
        return torch.where(allowed, 0.0, MASKED)

    def _pool(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self.pooling == "cls":
            return states[:, 0]
        if self.pooling == "last":
            last = (mask.sum(1) - 1).clamp_min(0)[:, None, None].expand(-1, 1, states.shape[2])
            return states.gather(1, last)[:, 0]
        return pool_mean(states, mask)


def find_stack(network: nn.Module, count: int) -> str:
    """Path of the list of a network's layers: the first of so many like modules; empty if there is none."""
    for path, module in network.named_modules():
        alike = isinstance(module, nn.ModuleList) and len({type(each) for each in module}) == 1
        if alike and len(module) == count:
            return path
    return ""


def cut_lists(fields: Mapping[str, Any], chosen: tuple[int, ...], of: int) -> dict[str, Any]:
    """The lists of a configuration with an entry a layer, those of the chosen ones alone."""
    return {
        name: [value[number] for number in chosen]
        for name, value in fields.items()
        if isinstance(value, list) and len(value) == of and "layer" in name
    }
