"""What a view is: a pure function of (seed, sample index, view number).

A random number is a hash of (seed, index, view, which number), never a draw from a generator with
a state; so any view of any sample can be made at any time, alone or in any batch. Fields of one sample that are
moved, such as an image and its map, ask for the same numbers and so move together. `edgekd.learn.views` holds what
is done to each kind of field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.learn.view_settings import Views

FLIP, CROP_Y, CROP_X, AFFINE, ERASE, MIX, PARTNER, RESIZED_CROP, COLOR, RAND_AUGMENT, MASKING = (
    0,
    1,
    2,
    3,
    8,
    14,
    17,
    18,
    40,
    48,
    128,
)
"""First number of each operation in a sample's sequence of random numbers."""


class View(NamedTuple):
    """A view of some samples: their indices, the seed and the view's number."""

    words: Views
    """What the recipe says."""
    seed: int
    indices: NDArray[np.int64]
    """[B], into the training split."""
    number: int
    total: int
    """Samples of the training split."""

    @property
    def mixes(self) -> bool:
        """Whether a sample is mixed with another."""
        return bool(self.words.mixup or self.words.cutmix)

    def partners(self) -> NDArray[np.int64]:
        """[B]: for each sample the other one that is mixed into it."""
        return draw_partners(self.total, self.seed, self.indices, self.number)


def draw_numbers(
    seed: int, indices: NDArray[np.int64], view: int, which: int | NDArray[np.int64]
) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), one for each index: the `which`-th of (seed, index, view); of several the own of each.

    SplitMix64's finalizer (Steele, Lea and Flood 2014, fig. 15) over the four numbers in turn.
    """
    with np.errstate(over="ignore"):
        state: NDArray[np.uint64] = np.full(indices.shape, seed % 2**64, np.uint64)
        for number in (indices.astype(np.uint64), np.uint64(view), np.asarray(which, np.uint64)):
            state = _mixed(state ^ (number * np.uint64(0x9E3779B97F4A7C15)))
    return np.asarray((state >> np.uint64(11)) * 2.0**-53)


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def draw_partners(
    total: int, seed: int, indices: NDArray[np.int64], view: int
) -> NDArray[np.int64]:
    """For each sample the other sample that is mixed into it; never itself if there are two."""
    step = 1 + (draw_numbers(seed, indices, view, PARTNER) * max(total - 1, 1)).astype(np.int64)
    return np.asarray((indices + step) % total)
