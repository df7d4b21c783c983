"""How features of two networks are brought to the same places: the coarser grid of the two."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.learn.mathematics.shapes import Shape

Places = tuple[int, ...]
"""() for vectors [B, D]; (N,) for tokens [B, N, D]; (H, W) for maps [B, C, H, W]."""


def count_channels(shape: Shape) -> int:
    """Count the numbers in one place: C of maps, D of tokens and of vectors."""
    return shape[1] if len(shape) == 4 else shape[-1]


def shared_places(student: Shape, teacher: Shape, *, maps: bool = False) -> Places:
    """Return where features of both networks can be compared; on each side of a map, the smaller.

    Tokens of one number stay tokens, with their class token. All others are laid out as a map: a class
    token is dropped, the rest is a square, or the map's own sides where the other is a map. Beside a vector
    all have one place, their mean.

    Args:
        student: [B, D], [B, N, D] or [B, C, H, W].
        teacher: the same kinds.
        maps: whether only a map will do: vectors are refused, tokens always laid out.

    Raises:
        ValueError: if the two cannot be laid out alike.
    """
    kinds = {len(student), len(teacher)}
    vectors = 2 in kinds and kinds <= {2, 3, 4} and not maps
    if student[:1] != teacher[:1] or not (vectors or kinds <= {3, 4}):
        wanted = "[B, N, D] or [B, C, H, W]" if maps else "[B, D], [B, N, D] or [B, C, H, W]"
        raise ValueError(f"want two {wanted} that go together, got {student} and {teacher}")
    if vectors:
        return ()
    if kinds == {3} and student[1] == teacher[1] and not maps:
        return (student[1],)
    one, other = _sides(student, teacher), _sides(teacher, student)
    return min(one[0], other[0]), min(one[1], other[1])


def match_places(features: Tensor, other: Shape, *, maps: bool = False) -> Tensor:
    """Pool features to the `shared_places` of both shapes; the result is at least float32.

    Args:
        features: [B, D], [B, N, D] or [B, C, H, W].
        other: the shape of the other network's features.
        maps: whether only a map will do.

    Returns:
        As `features`, with the shared places; untouched where they have them already.

    Raises:
        ValueError: if the two cannot be laid out alike.
    """
    shape = tuple(features.shape)
    shared, features = shared_places(shape, other, maps=maps), widen(features)
    if not shared and features.ndim > 2:
        return rows(features).mean(2)
    if len(shared) < 2:
        return features
    return pool_maps(to_map(features, _sides(shape, other)), (shared[0], shared[1]))


def rows(features: Tensor) -> Tensor:
    """Each channel's values over all places: [B, C, P] of maps, [B, D, N] of tokens, [B, D, 1] of vectors."""
    if features.ndim == 3:
        return features.transpose(1, 2)
    return features.flatten(2) if features.ndim == 4 else features.unsqueeze(2)


def require_same_shape(student: Tensor, teacher: Tensor) -> None:
    """Refuse what is not two of one shape: [B, D], [B, N, D] or [B, C, H, W].

    Raises:
        ValueError: if they differ or are none of these.
    """
    if student.shape != teacher.shape or student.ndim not in (2, 3, 4):
        wanted = "two of one shape, [B, D], [B, N, D] or [B, C, H, W]"
        raise ValueError(f"want {wanted}, got {tuple(student.shape)} and {tuple(teacher.shape)}")


def require_same_places(student: Tensor, teacher: Tensor) -> None:
    """Refuse what is not [B, N, *] or [B, *, H, W] twice; the channels may differ.

    Raises:
        ValueError: if the places differ, or there are none.
    """
    one, other = tuple(student.shape), tuple(teacher.shape)
    fit = len(one) == len(other) and one[:1] == other[:1] and len(one) in (3, 4)
    if not fit or (one[1] != other[1] if len(one) == 3 else one[2:] != other[2:]):
        raise ValueError(f"want two [B, N, *] or [B, *, H, W], got {one} and {other}")


def to_map(features: Tensor, sides: tuple[int, int]) -> Tensor:
    """Return [B, D, H, W] of tokens [B, N, D], without what stands before the last H * W; maps as they are."""
    if features.ndim == 4:
        return features
    height, width = sides
    kept = features[:, features.shape[1] - height * width :]
    return kept.transpose(1, 2).unflatten(2, (height, width))


def pool_maps(maps: Tensor, sides: tuple[int, int]) -> Tensor:
    """Pool maps [B, C, H, W] to [B, C, *sides] by adaptive averages.

    As matrix products, since torch's own has no deterministic gradient on a GPU. Windows overlap
    where the sides do not divide, as torch's do.
    """
    if maps.shape[2:] == sides:
        return maps
    down, across = (_windows(maps, axis, side) for axis, side in zip((2, 3), sides, strict=True))
    return down @ maps @ across.T


def _windows(maps: Tensor, axis: int, side: int) -> Tensor:
    """[side, size]: row i is the mean over floor(i size / side) .. ceil((i + 1) size / side)."""
    size = maps.shape[axis]
    number, row = torch.arange(size), torch.arange(side).unsqueeze(1)
    inside = (number >= row * size // side) & (number < -(-(row + 1) * size // side))
    return (inside.double() / inside.sum(1, keepdim=True)).to(maps)


def _sides(shape: Shape, other: Shape) -> tuple[int, int]:
    """The map that features of this shape are laid out as, beside those of the other."""
    if len(shape) == 4:
        return shape[2], shape[3]
    tokens = shape[1]
    if len(other) == 4 and other[2] * other[3] in (tokens, tokens - 1):
        return other[2], other[3]
    for count in (tokens, tokens - 1):
        side = math.isqrt(count)
        if side and side * side == count:
            return side, side
    raise ValueError(
        f"got {tokens} tokens, want a square of them, or one class token more: {shape}"
    )
