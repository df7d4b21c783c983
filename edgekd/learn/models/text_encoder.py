"""Transformer encoders over tokens (Devlin et al. 2019, arXiv:1810.04805); see `edgekd.learn.transformer`."""

from __future__ import annotations

from torch import nn

from edgekd.learn.transformer import TransformerSizes
from edgekd.learn.transformer import build_transformer
from edgekd.learn.transformer import read_direction
from edgekd.learn.transformer import read_each
from edgekd.learn.transformer import read_mean
from edgekd.settings import Count
from edgekd.settings import Depth


def text_encoder(
    *,
    classes: Count,
    vocabulary: Count,
    longest: Count,
    types: Count = 1,
    layers: Depth = 4,
    width: Count = 128,
    heads: Count = 4,
) -> nn.Module:
    """A transformer encoder with learned positions and a classifier over the mean of its tokens.

    Args:
        classes: how many logits.
        vocabulary: how many tokens there are.
        longest: tokens of the longest text.
        types: of tokens, where two texts have one label.
        layers: of attention.
        width: numbers a token.
        heads: of the attention; they divide `width`.

    Returns:
        A model from int64 tokens [B, N] and their mask [B, N], 1 where there is no padding, to logits [B, classes]; of
        several types it takes those [B, N], too.

    Raises:
        ValueError: if `heads` does not divide `width`.
    """
    sizes = TransformerSizes(vocabulary, longest, layers, width, heads, types)
    return build_transformer(sizes, classes, read_mean)


def text_tagger(
    *,
    classes: Count,
    vocabulary: Count,
    longest: Count,
    layers: Depth = 4,
    width: Count = 128,
    heads: Count = 4,
) -> nn.Module:
    """The same encoder with a classifier over every token.

    Args:
        classes: how many logits a token.
        vocabulary: how many tokens there are.
        longest: tokens of the longest text.
        layers: of attention.
        width: numbers a token.
        heads: of the attention; they divide `width`.

    Returns:
        A model from int64 tokens [B, N] and their mask [B, N] to logits [B, N, classes].

    Raises:
        ValueError: if `heads` does not divide `width`.
    """
    sizes = TransformerSizes(vocabulary, longest, layers, width, heads)
    return build_transformer(sizes, classes, read_each)


def text_filler(
    *,
    vocabulary: Count,
    longest: Count,
    layers: Depth = 4,
    width: Count = 128,
    heads: Count = 4,
) -> nn.Module:
    """The same encoder with a logit of every token in every place: what stands behind a mask.

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
    return build_transformer(sizes, vocabulary, read_each)


def text_embedder(
    *,
    dimensions: Count,
    vocabulary: Count,
    longest: Count,
    layers: Depth = 4,
    width: Count = 128,
    heads: Count = 4,
) -> nn.Module:
    """The same encoder with a linear layer over the mean of its tokens, brought to length 1 in the graph.

    Args:
        dimensions: numbers of the vector.
        vocabulary: how many tokens there are.
        longest: tokens of the longest text.
        layers: of attention.
        width: numbers a token.
        heads: of the attention; they divide `width`.

    Returns:
        A model from int64 tokens [B, N] and their mask [B, N] to vectors [B, dimensions] of length 1.

    Raises:
        ValueError: if `heads` does not divide `width`.
    """
    sizes = TransformerSizes(vocabulary, longest, layers, width, heads)
    return build_transformer(sizes, dimensions, read_direction)
