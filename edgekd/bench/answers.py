"""How well an engine answers: its accuracy, and how close it is to the model it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import NamedTuple

from edgekd.bench import saturation

if TYPE_CHECKING:
    import numpy as np

EXACT = "fp32"
"""The precision that must answer as the trained model does; others are judged by accuracy."""
USUAL = 10.0
"""Root mean square up to which a float tolerance is what it says; logits of classifiers come to 1 to 10."""
ROUNDED = "int8"
"""The one that must round as the trained model does: it is judged in quantization steps."""
MOST_STEPS = 4.0
"""Of the root mean square difference. An engine that rounds alike differs where a sum lies on the edge
between two codes, by one code, and what follows differs a little: over nine convolutions ONNX Runtime
came to 0.9 steps, OpenVINO to 2.0. One whose sums saturate, or whose zero-point is another, is many
steps off."""
MOST_SPREAD = 0.03
"""Or as a fraction of how far logits spread, where that is more: a deep network flips many codes of a
fine step and means nothing by it. Measured over nine convolutions: 0.6 % on x86 and ARM64 alike, 7.6 %
where sums saturate (benchmarks/boards/profiles.json)."""
LEAST_AGREEMENT = 0.98
"""Of golden samples; one may always change its class, since the best two logits may be a step apart."""


class Answers(NamedTuple):
    """How well an engine answers."""

    accuracy: float | None
    """On all validation images."""
    max_abs: float | None
    """Largest difference to the trained model's logits on the golden inputs."""
    rms: float | None
    """Root of the mean square of those differences."""
    agreement: float | None
    """Fraction of golden inputs on which both name the same class."""
    fault: str
    """Why it is not timed; empty if it is."""
    steps: float | None = None
    """`max_abs` in quantization steps of the logits; None of a model that is not quantized."""


def float_allowance(want: np.ndarray, tolerance: float) -> float:
    """How far a float32 logit may be from the trained model's: the one definition of float parity.

    `tolerance` is meant for logits with a root mean square of `USUAL` or less, and grows with it beyond:
    what float32 rounds is a part of the numbers that are added, and logits of 800 are not known to 1e-4.

    Args:
        want: the trained model's logits [N, classes] on the golden inputs.
        tolerance: as a recipe gives it, ``export.tolerance``.
    """
    import numpy as np

    rms = float(np.sqrt(np.mean(np.square(want, dtype=np.float64))))
    return tolerance * max(1.0, rms / USUAL)


def judge_answers(
    accuracy: float,
    told: np.ndarray,
    want: np.ndarray,
    precision: str,
    tolerance: float,
    step: float | None = None,
) -> Answers:
    """Judge the answers and return them with the verdict.

    Args:
        accuracy: on the validation images.
        told: the engine's logits [N, classes] on the golden inputs.
        want: the trained model's; of a quantized one, with its roundings.
        precision: fp32 must give the trained model's own answers, int8 must round as it does.
        tolerance: of fp32 logits, see `float_allowance`.
        step: how far a logit of a quantized model moves by one code of its classifier's input.
    """
    import numpy as np

    from edgekd.tasks import classification

    if told.shape != want.shape:
        return Answers(
            accuracy, None, None, None, f"failed: got {told.shape} logits, want {want.shape}"
        )
    max_abs, agreement = float(np.abs(told - want).max()), classification.top1_agreement(told, want)
    fault, most = "", float_allowance(want, tolerance)
    if precision == EXACT and not max_abs <= most:
        fault = f"failed: parity {max_abs:.1e} > {most:.1e}"
    elif precision == EXACT and agreement < 1:
        fault = f"failed: top-1 agreement {agreement:.4f} < 1"
    rms = saturation.rms(want, told)
    if precision == ROUNDED and step:
        allowed = max(MOST_STEPS, MOST_SPREAD * float(want.std()) / step)
        fault = _not_rounded_alike(rms / step, allowed, agreement, len(want))
    steps = max_abs / step if step else None
    return Answers(accuracy, max_abs, rms, agreement, fault, steps)


def _not_rounded_alike(steps: float, allowed: float, agreement: float, samples: int) -> str:
    if not steps <= allowed:
        return f"failed: logits {steps:.3g} quantization steps off (rms) > {allowed:.3g}"
    if agreement < LEAST_AGREEMENT and round((1 - agreement) * samples) > 1:
        return f"failed: top-1 agreement {agreement:.4f} < {LEAST_AGREEMENT:g}"
    return ""
