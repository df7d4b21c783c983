"""A decoder as the fused operators of ONNX Runtime: one for attention with its cache, one for adding and norming.

The file that comes of it (operators of the domain ``com.microsoft``) computes the same as the plain one, with a fifth of
its nodes; keys and values may lie in one buffer that is as long as the longest text, into which a call writes the new
ones alone. Padding stands on the right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from edgekd.learn.cache import CacheSizes
from edgekd.learn.decoder_parts import LayerParts
from edgekd.learn.decoder_parts import Readable
from edgekd.learn.export.last_logits import keep_last

MICROSOFT = "com.microsoft"
PLAIN_MULTIPLE, ROTARY_MULTIPLE = 8, 16
"""Of which the size of a head is a multiple in ``GroupQueryAttention`` (ONNX Runtime 1.31), with places turned and without."""


class FusedDecoder(nn.Module):
    """The same decoder; runs in an export alone."""

    def __init__(self, network: nn.Module) -> None:
        """
        Args:
            network: the decoder.

        Raises:
            ValueError: if its parts cannot be told, in one line.
        """
        super().__init__()
        if not isinstance(network, Readable):
            raise ValueError(f"{type(network).__name__} does not tell its layers")
        self.network = network
        self._parts = parts = network.read_parts()
        multiple = PLAIN_MULTIPLE if parts.rotary is None else ROTARY_MULTIPLE
        if parts.sizes.head_size % multiple:
            got = parts.sizes.head_size
            raise ValueError(
                f"heads of {got} numbers, which the operator takes in {multiple}s alone"
            )
        if parts.rotary is not None:
            self.register_buffer("cosine", parts.rotary.cosine.float())
            self.register_buffer("sine", parts.rotary.sine.float())

    def cache_sizes(self) -> CacheSizes:
        """Return what it keeps of a token."""
        return self._parts.sizes

    def decode(
        self, tokens: torch.Tensor, mask: torch.Tensor, past: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        """As `edgekd.learn.cache.Decoder.decode`; a mask has its ones on the left."""
        parts = self._parts
        lengths = (mask.sum(1) - 1).to(torch.int32)
        whole = _shape_of_axis(mask, 1).to(torch.int32)
        states = parts.embedding(tokens)
        if parts.places is not None:
            count = tokens.shape[1]
            at = (mask.cumsum(1) - 1).clamp_min(0)[:, mask.shape[1] - count :]
            states = states + nn.functional.embedding(at, parts.places)
        normed = parts.layers[0].attention_norm(states)
        present: list[torch.Tensor] = []
        for number, layer in enumerate(parts.layers):
            ends = past[2 * number : 2 * number + 2]
            mixed, *kept = self._attend(layer, normed, ends, lengths, whole)
            present += kept
            normed, states = add_and_norm(states, layer.project(mixed), layer.forward_norm)
            following = (*parts.layers, None)[number + 1]
            norm = parts.norm if following is None else following.attention_norm
            normed, states = add_and_norm(states, layer.feed_forward(normed), norm)
        logits: torch.Tensor = parts.head(keep_last(normed))
        return logits[..., : parts.logits], *present

    def _attend(
        self,
        layer: LayerParts,
        normed: torch.Tensor,
        past: Sequence[torch.Tensor],
        lengths: torch.Tensor,
        whole: torch.Tensor,
    ) -> Sequence[torch.Tensor]:
        """What attention gives [B, N, heads * D], and the keys and values behind it."""
        parts, size = self._parts, self._parts.sizes.head_size
        query, key, value = layer.query(normed), layer.key(normed), layer.value(normed)
        if layer.query_norm is not None and layer.key_norm is not None:
            query = layer.query_norm(query.unflatten(2, (-1, size))).flatten(2)
            key = layer.key_norm(key.unflatten(2, (-1, size))).flatten(2)
        inputs = [query, key, value, *past, lengths, whole]
        if parts.rotary is not None:
            inputs += [self.cosine, self.sine]
        length = past[0].shape[2] + normed.shape[1]
        kept = (normed.shape[0], parts.sizes.heads, length, size)
        return torch.onnx.ops.symbolic_multi_out(
            f"{MICROSOFT}::GroupQueryAttention",
            inputs,
            attrs={
                "num_heads": parts.heads,
                "kv_num_heads": parts.sizes.heads,
                "scale": parts.scale,
                "do_rotary": int(parts.rotary is not None),
            },
            dtypes=(torch.float32,) * 3,
            shapes=((*normed.shape[:2], parts.heads * size), kept, kept),
            version=1,
        )


def add_and_norm(
    states: torch.Tensor, added: torch.Tensor, norm: nn.Module
) -> tuple[torch.Tensor, torch.Tensor]:
    """The sum of both after the norm, and the sum itself, in one operator."""
    kind, inputs = "SkipSimplifiedLayerNormalization", [states, added, norm.weight]
    if isinstance(norm, nn.LayerNorm):
        kind, inputs = "SkipLayerNormalization", [*inputs, norm.bias]
    normed, _, _, total = torch.onnx.ops.symbolic_multi_out(
        f"{MICROSOFT}::{kind}",
        inputs,
        attrs={"epsilon": find_epsilon(norm)},
        dtypes=(torch.float32,) * 4,
        shapes=(states.shape, (1,), (1,), states.shape),
        version=1,
    )
    return normed, total


def find_epsilon(norm: nn.Module) -> float:
    """What a norm adds to the variance.

    Raises:
        ValueError: if it does not say.
    """
    for name in ("eps", "variance_epsilon"):
        value = getattr(norm, name, None)
        if isinstance(value, float) and math.isfinite(value):
            return value
    raise ValueError(f"{type(norm).__name__} does not say what it adds to the variance")


def _shape_of_axis(tensor: torch.Tensor, axis: int) -> torch.Tensor:
    """One size of a tensor, int64 [1], in the graph."""
    return torch.onnx.ops.symbolic(
        "Shape", [tensor], attrs={"start": axis, "end": axis + 1}, dtype=torch.int64, shape=(1,)
    )
