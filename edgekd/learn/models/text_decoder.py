"""A transformer decoder over tokens (Radford et al. 2019); see `edgekd.learn.transformer`."""

from __future__ import annotations

from torch import nn

from edgekd.learn.transformer import TransformerSizes
from edgekd.learn.transformer import build_transformer
from edgekd.learn.transformer import read_each
from edgekd.settings import Count
from edgekd.settings import Depth


def text_decoder(
    *,
    vocabulary: Count,
    longest: Count,
    layers: Depth = 4,
    width: Count = 128,
    heads: Count = 4,
) -> nn.Module:
    """A transformer in which no token sees those after it, with the next token's logits after each.

    Args:
        vocabulary: how many tokens there are, and logits.
        longest: tokens of the longest text.
        layers: of attention.
        width: numbers a token.
        heads: of the attention; they divide `width`.

    Returns:
        A model from int64 tokens [B, N] and their mask [B, N], 1 where there is no padding, to logits
        [B, N, vocabulary].

    Raises:
        ValueError: if `heads` does not divide `width`.
    """
    sizes = TransformerSizes(vocabulary, longest, layers, width, heads)
    return build_transformer(sizes, vocabulary, read_each, causal=True)
