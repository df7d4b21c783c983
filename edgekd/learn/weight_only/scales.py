"""Scales of blocks without training: the range, or what differs least."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from edgekd.learn.weight_only.formats import BlockFormat
from edgekd.learn.weight_only.formats import round_blocks
from edgekd.learn.weight_only.formats import split_blocks
from edgekd.learn.weight_only.quantizer import SMALLEST_SCALE

CLIPS = 21
"""Parts of the range that are tried for each block."""
HARDEST_CLIP = {4: 0.6, 8: 0.95}
"""The least part, by bits."""
REFITS = 2
"""How often the codes give a better scale, and that better codes."""
VALUES = 2**19
"""That are searched at a time: what is tried takes several times their memory, and should stay in a core's cache."""


class BlockScales(NamedTuple):
    """Signed scales and zero-points [N, K / group] of a weight."""

    scale: Tensor
    zero: Tensor


def range_scales(weight: Tensor, form: BlockFormat) -> BlockScales:
    """Scales that cover each block of `weight` [N, K]: the usual round-to-nearest.

    Symmetric: the largest weight gets the code that reaches furthest from the middle, by the scale's sign.
    """
    return _clip_range(split_blocks(weight.detach().float(), form.group), form, 1.0)


def search_scales(
    weight: Tensor, form: BlockFormat, importance: Tensor | None = None
) -> BlockScales:
    """Scales with the least square error of each block of `weight` [N, K], of both signs and several ranges, then fitted
    to their codes by least squares.

    Args:
        weight: what is rounded.
        form: how.
        importance: of each input [K], the mean square of what it takes: the error is then the output's, were inputs
            uncorrelated; none is 1 each.
    """
    parts = [
        _search(split_blocks(rows.detach().float(), form.group), form, importance)
        for rows in weight.split(max(1, VALUES // max(1, weight.shape[1])))
    ]
    return BlockScales(*(torch.cat(each) for each in zip(*parts, strict=True)))


def _search(blocks: Tensor, form: BlockFormat, importance: Tensor | None) -> BlockScales:
    weights = (
        torch.ones(1, *blocks.shape[1:])
        if importance is None
        else importance.reshape(1, -1, form.group)
    )
    best = _clip_range(blocks, form, 1.0)
    least = _error(blocks, best, form, weights)
    signs = (1.0, -1.0) if form.symmetric else (1.0,)
    for part in torch.linspace(1.0, HARDEST_CLIP[form.bits], CLIPS).tolist():
        for sign in signs:
            tried = _clip_range(blocks, form, part, sign)
            best, least = _take_better(best, least, tried, _error(blocks, tried, form, weights))
    for _ in range(REFITS):
        tried = _refit(blocks, best, form, weights)
        best, least = _take_better(best, least, tried, _error(blocks, tried, form, weights))
    return best


def _clip_range(blocks: Tensor, form: BlockFormat, part: float, sign: float = 1.0) -> BlockScales:
    """A range of `part` of a block's; `sign` turns the longer side of a symmetric one away from the largest weight."""
    least, most = blocks.amin(-1), blocks.amax(-1)
    if form.symmetric:
        peak = torch.where(most > -least, most, least)
        scale = -sign * peak * part / form.middle  # code 0 is `middle` steps below
        # away from the largest weight one code less reaches it
        scale = scale if sign > 0 else scale * form.middle / (form.middle - 1)
        scale = torch.where(scale.abs() < SMALLEST_SCALE, SMALLEST_SCALE, scale)
        return BlockScales(scale, torch.full_like(scale, form.middle))
    least, most = least.clamp_max(0) * part, most.clamp_min(0) * part
    scale = ((most - least) / form.high).clamp_min(SMALLEST_SCALE)
    return BlockScales(scale, (-least / scale).round().clamp(0, form.high))


def _error(blocks: Tensor, tried: BlockScales, form: BlockFormat, weights: Tensor) -> Tensor:
    scale, zero = tried.scale.unsqueeze(-1), tried.zero.unsqueeze(-1)
    off = round_blocks(blocks, scale, zero, form.high).sub_(zero).mul_(scale).sub_(blocks)
    return off.square_().mul_(weights).sum(-1)


def _refit(blocks: Tensor, found: BlockScales, form: BlockFormat, weights: Tensor) -> BlockScales:
    """The scale that fits the codes best: sum h w c / sum h c^2, c counted from the zero-point."""
    scale, zero = found.scale.unsqueeze(-1), found.zero.unsqueeze(-1)
    codes = round_blocks(blocks, scale, zero, form.high).sub_(zero)
    above, below = (blocks * codes * weights).sum(-1), (codes.square() * weights).sum(-1)
    fitted = torch.where(
        (below > 0) & (above.abs() > 0), above / below.clamp_min(1e-30), found.scale
    )
    fitted = torch.where(fitted.abs() < SMALLEST_SCALE, found.scale, fitted)
    return BlockScales(fitted, found.zero)


def _take_better(
    best: BlockScales, least: Tensor, tried: BlockScales, error: Tensor
) -> tuple[BlockScales, Tensor]:
    better = error < least
    scale = torch.where(better, tried.scale, best.scale)
    zero = torch.where(better, tried.zero, best.zero)
    return BlockScales(scale, zero), torch.where(better, error, least)
