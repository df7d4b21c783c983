"""Whether an int8 model loses on a processor what it kept on another: its sums saturate at 16 bits.

x86 without VNNI multiplies 8-bit pairs with vpmaddubsw, which clips the sum of two products at 32,767;
255 x 127 twice is 64,770. A file with full-range weights is then less accurate there, and nothing says
so: it runs, and its time is good. Weights of 7 bits cannot clip (255 x 64 x 2 = 32,640).
See onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "reduce_range".

Two signs are looked for, both relative to the same file on a machine that does not saturate: its logits
are further from the trained model's, and classes are lost that were right. Elsewhere int8 arithmetic is
exact up to the rounding of its results: files that do not clip give the very same logits on AVX2, VNNI
and ARM (benchmarks/boards), so a small excess already tells.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING
from typing import NamedTuple

from edgekd.bench.machine import instructions

if TYPE_CHECKING:
    import numpy as np

RATIO = 1.25
"""How many times the stated difference is too much: sound files gave 1.00, losing ones 1.7 and more
(benchmarks/boards); the rest is for samples other than those it was stated for."""
FLOOR = 0.005
"""Of the spread of the logits: less is rounding, whatever was stated."""
FLIPS = 0.005
"""Of right answers, what rounding alone may turn on another machine; sound files lost none of 200."""
CHANCE = 0.01
"""How likely so many losses may be by rounding alone and still count."""
LEAST = 32
"""Fewer samples say nothing."""
CAUSE = (
    "16-bit sums saturate (vpmaddubsw): this processor has no VNNI and the int8 weights use the full "
    "range; quantize them to 7 bits (reduce_range)"
)
OTHER_CAUSE = (
    "this processor does not saturate, so something else differs: compare the engines' versions"
)


class SaturationCheck(NamedTuple):
    """The answers of a device compared with the trained model's."""

    samples: int
    rms: float
    """Root of the mean square difference of the logits here."""
    stated_rms: float
    """The same where the file was measured, at least `FLOOR` of the spread."""
    lost: int | None
    """Samples that were right where the file was measured and are wrong here; None if not known."""
    won: int | None
    """The other way round."""
    signs: tuple[str, ...]
    """``logits``, ``accuracy``: what speaks for saturation. Empty for a sound device."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing speaks against the device."""
        return not self.signs

    def text(self) -> str:
        """One line of numbers."""
        ratio = self.rms / self.stated_rms if self.stated_rms else math.inf
        parts = [
            f"{self.samples} samples, logits off by {self.rms:.2g} (rms), "
            f"{ratio:.2f} times the stated {self.stated_rms:.2g} (at most {RATIO:g})"
        ]
        if self.lost is not None:
            parts.append(f"{self.lost} right answers lost, {self.won} won")
        return ", ".join(parts)


def rms(reference: np.ndarray, answers: np.ndarray) -> float:
    """Root of the mean square difference of two outputs [N, ...]: what a sound machine states."""
    import numpy as np

    difference = np.asarray(answers, np.float64) - np.asarray(reference, np.float64)
    return float(np.sqrt(np.mean(difference**2)))


def check_saturation(
    reference: np.ndarray,
    answers: np.ndarray,
    *,
    stated_rms: float | None = None,
    measured: np.ndarray | None = None,
    labels: np.ndarray | None = None,
) -> SaturationCheck:
    """Compare a device's answers with those of a machine that does not saturate.

    Args:
        reference: an output [N, ...] of the trained model.
        answers: the device's on the same samples; 200 samples are plenty.
        stated_rms: what `rms` was for this file where it was measured; or give
        measured: the file's own output there, on the same samples.
        labels: the right classes [N] of logits [N, C]; with `measured`, accuracy speaks, too.

    Raises:
        ValueError: if the shapes differ, there are fewer than `LEAST` samples, or neither
            `stated_rms` nor `measured` is given.
    """
    import numpy as np

    shapes = {array.shape for array in (reference, answers, measured) if array is not None}
    if len(shapes) > 1 or reference.ndim < 2 or len(reference) < LEAST:
        raise ValueError(f"want the same [N, ...] of at least {LEAST} rows, got {sorted(shapes)}")
    if stated_rms is None:
        if measured is None:
            raise ValueError("want stated_rms or measured, got neither")
        stated_rms = rms(reference, measured)
    found = rms(reference, answers)
    stated = max(stated_rms, FLOOR * float(np.std(reference)))
    signs = ["logits"] if not found <= RATIO * stated else []  # NaN is too much, too
    lost = won = None
    if measured is not None and labels is not None:
        before, after = measured.argmax(1) == labels, answers.argmax(1) == labels
        lost, won = int((before & ~after).sum()), int((after & ~before).sum())
        if rounding_chance(lost, int(before.sum())) < CHANCE:
            signs.append("accuracy")
    return SaturationCheck(len(reference), found, stated, lost, won, tuple(signs))


def rounding_chance(lost: int, right: int) -> float:
    """Return how likely rounding alone turns at least `lost` of `right` answers (binomial tail of `FLIPS`)."""
    kept = [math.comb(right, n) * FLIPS**n * (1 - FLIPS) ** (right - n) for n in range(lost)]
    return max(0.0, 1 - math.fsum(kept))


def explain_cause(flags: Iterable[str]) -> str:
    """Why a device that is not sound is not, by the flags of its processor."""
    return CAUSE if instructions.sums_in_16_bits(flags) else OTHER_CAUSE
