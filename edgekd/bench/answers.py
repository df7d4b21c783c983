"""How well an engine answers: its score, and how close it is to the model it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import NamedTuple

from edgekd.bench.differences import Differences
from edgekd.bench.differences import OutputDifference
from edgekd.bench.status import FAILED
from edgekd.bench.status import OK
from edgekd.bench.status import REFUSED
from edgekd.bench.status import Status
from edgekd.profile import QUANTIZED
from edgekd.profile import stored_precision
from edgekd.units import percent_text

if TYPE_CHECKING:
    from edgekd.field import Arrays

EXACT = "fp32"
"""The precision that must answer as the trained model does; others are judged by the score."""
USUAL = 10.0
"""Root mean square up to which a float tolerance is what it says; logits of classifiers come to 1 to 10."""
MOST_STEPS = 4.0
"""Of the root mean square difference. An engine that rounds alike differs where a sum lies on the edge
between two codes, by one code, and what follows differs a little: over nine convolutions ONNX Runtime
came to 0.9 steps, OpenVINO to 2.0. One whose sums saturate, or whose zero-point is another, is many
steps off."""
MOST_SPREAD = 0.03
"""Or as a fraction of how far logits spread, where that is more: a deep network flips many codes of a
fine step and means nothing by it. Measured over nine convolutions: 0.6 % on x86 and ARM64 alike, 7.6 %
where sums saturate (benchmarks/boards/profiles.json)."""
MOST_ROUNDING = 2.0
"""Or of how far the model's own answers move when nothing but its biases is rounded as int32 sums hold them: there a
deep network makes of a few codes another logit. Measured on MobileNetV2 (benchmarks/pretrained): ONNX Runtime and
OpenVINO 1.0 times that, the same torch model in another order of sums 0.35 times."""
LEAST_SAME = 0.99
"""Of what a float engine's decision on a sample has in common with the trained model's; beyond a class, a few parts
of it may lie on the edge between two."""
LEAST_AGREEMENT = 0.98
"""Of golden samples; one may always change its class, since the best two logits may be a step apart. Less where biases
alone change more of them: `MOST_ROUNDING` times as many."""
ROUNDED_TOLERANCE = 0.1
"""Of a quantized file of other operators, at least: a sum in another order may be rounded to the next code."""


class RoundingNoise(NamedTuple):
    """How far a quantized model's answers move when only its biases are rounded, or what layers take, as engines do."""

    rms: Mapping[str, float] = {}
    """Root of the mean square difference by output."""
    agreement: float = 1.0
    """How far the decisions stay the same."""


class OutputAnswers(NamedTuple):
    """Differences of one output of an engine from the trained model's."""

    max_abs: float
    """Largest difference to the trained model's on the golden inputs."""
    rms: float
    """Root of the mean square of those differences."""
    steps: float | None = None
    """`max_abs` in quantization steps; None where that is not known."""


class Answers(NamedTuple):
    """Metrics, differences and status of an engine's answers."""

    metrics: Mapping[str, float] | None
    """The task's on all validation samples; the first is the score."""
    max_abs: float | None
    """Largest difference to the trained model's outputs on the golden inputs, of the worst output."""
    rms: float | None
    """Root of the mean square of those differences, of the worst output."""
    agreement: float | None
    """How far the decisions on the golden inputs are the same."""
    status: Status
    """Only what is ok is timed."""
    steps: float | None = None
    """Largest difference in quantization steps; None of a model that is not quantized."""
    outputs: Mapping[str, OutputAnswers] = {}
    """The same by output."""
    float_agreement: float | None = None
    """How far its decisions on the golden inputs are those of the student in float32; None of any other model."""

    @property
    def score(self) -> float | None:
        """The metric that decides."""
        return None if self.metrics is None else next(iter(self.metrics.values()))


def refuse_answers(status: Status) -> Answers:
    """Answers that were not given."""
    return Answers(None, None, None, None, status)


def refuse_below_floor(answers: Answers, agreement: float, least: float) -> Answers:
    """The answers with their agreement with the student in float32, refused where that is too little.

    Quantizing may destroy a model whose file is as right, in its own terms, and as fast as a good one: ONNX Runtime's
    static quantization as it comes takes a sentence encoder to a mean cosine of 0.365.

    Args:
        answers: as `judge_answers` gives them; what failed stays so.
        agreement: the mean of the task's `agree` over the golden samples.
        least: what is wanted of it.
    """
    found = answers._replace(float_agreement=agreement)
    if answers.status.word != OK or agreement >= least:
        return found
    reason = (
        f"agrees with the student in float32 on {percent_text(agreement)}, want at least {100 * least:g} % "
        "(measure.agreement_min)"
    )
    return found._replace(status=Status(REFUSED, reason))


def float_allowance(size: float, tolerance: float) -> float:
    """Return how far a float32 number may be from the trained model's: the one definition of float parity.

    `tolerance` is meant for outputs with a root mean square of `USUAL` or less, and grows with it beyond:
    what float32 rounds is a part of the numbers that are added, and logits of 800 are not known to 1e-4.

    Args:
        size: root mean square of the trained model's own output on the golden inputs.
        tolerance: as a recipe gives it, ``export.tolerance``.
    """
    return tolerance * max(1.0, size / USUAL)


def explain_difference(
    got: Mapping[str, Arrays], want: Mapping[str, Arrays], tolerance: float
) -> str:
    """Say where outputs by group and name are farther from others than `float_allowance` lets them; empty if nowhere."""
    import numpy as np

    for group, outputs in want.items():
        for name, wanted in outputs.items():
            allowed = float_allowance(float(np.sqrt(np.square(wanted).mean())), tolerance)
            off = float(np.abs(got[group][name] - wanted).max())
            if not off <= allowed:
                return f"got {name} {off:.2g} off, want at most {allowed:.2g}"
    return ""


def find_rounding(moved: Mapping[str, Arrays], plain: Mapping[str, Arrays]) -> float:
    """The farthest that what an engine rounds moves an output by group and name, in units of `float_allowance` of 1."""
    import numpy as np

    return max(
        float(np.abs(moved[group][name] - each).max())
        / float_allowance(float(np.sqrt(np.square(each).mean())), 1.0)
        for group, outputs in plain.items()
        for name, each in outputs.items()
    )


def explain_other_operators(
    got: Mapping[str, Arrays],
    answered: Mapping[str, Arrays],
    trained: Mapping[str, Arrays],
    moved: Mapping[str, Arrays],
    tolerance: float,
) -> str:
    """Say where a file of other operators answers otherwise than it may; empty if nowhere.

    Args:
        got: its answers by group and name.
        answered: those of the plain file.
        trained: those of the trained model.
        moved: of a quantized model, those with what engines round rounded, too; empty of a float one.
        tolerance: of float answers, by which the file is held to the trained model's once it is measured.
    """
    if not moved:
        return explain_difference(got, trained, tolerance)
    allowed = max(ROUNDED_TOLERANCE, find_rounding(moved, trained))
    return explain_difference(got, answered, 2 * allowed)  # either may be off by that


def judge_answers(
    metrics: Mapping[str, float],
    found: Differences,
    precision: str,
    tolerance: float,
    steps: Mapping[str, float] | None = None,
    noise: RoundingNoise | None = None,
) -> Answers:
    """Judge the answers and return them with the verdict.

    Args:
        metrics: of the task on the validation samples, the score first.
        found: how far the engine's outputs are from the trained model's; of a quantized one, with its roundings.
        precision: fp32 must give the trained model's own answers, int8 and int4 must round as it does: they are judged in quantization
            steps. Whatever runs in 16 bits, alone or beside int8, is told by how far it is off, and judged by the score.
        tolerance: of fp32 outputs, see `float_allowance`.
        steps: by output, how far a number of a quantized model moves by one code of its last layer's input.
        noise: what rounding alone does to the trained model.
    """
    steps, noise = steps or {}, noise or RoundingNoise()
    outputs = {
        name: OutputAnswers(
            each.max_abs, each.rms, each.max_abs / steps[name] if steps.get(name) else None
        )
        for name, each in found.outputs.items()
    }
    fault = ""
    if precision == EXACT:
        fault = _not_equal(found, tolerance)
    elif is_exact_beside(precision) and (steps or noise.rms):
        fault = _not_rounded_alike(found, steps, noise)
    known = [each.steps for each in outputs.values() if each.steps is not None]
    worst = max(known, default=None)
    status = Status(FAILED, fault) if fault else Status()
    return Answers(metrics, found.max_abs, found.rms, found.mean_agreement, status, worst, outputs)


def is_exact_beside(precision: str) -> bool:
    """Whether a quantized model's other numbers are fp32, so that its engine differs from it by roundings alone."""
    return precision in QUANTIZED and stored_precision(precision) == precision


def _not_equal(found: Differences, tolerance: float) -> str:
    for name, each in found.outputs.items():
        most = float_allowance(each.size, tolerance)
        if not each.max_abs <= most:  # NaN is refused too
            return f"{_of(name)}parity {each.max_abs:.1e} > {most:.1e}"
    if (found.agreement < LEAST_SAME).any():
        return f"agreement {found.mean_agreement:.4f} < 1"
    return ""


def _of(name: str) -> str:
    """An older file's only output has no name."""
    return f"{name}: " if name else ""


def _not_rounded_alike(found: Differences, steps: Mapping[str, float], noise: RoundingNoise) -> str:
    for name, each in found.outputs.items():
        wrong = _not_in_steps(each, steps.get(name), MOST_ROUNDING * noise.rms.get(name, 0.0))
        if wrong:
            return f"{_of(name)}{wrong}"
    changed = round((1 - found.mean_agreement) * len(found.agreement))
    least = min(LEAST_AGREEMENT, 1 - MOST_ROUNDING * (1 - noise.agreement))
    if found.mean_agreement < least and changed > 1:
        return f"agreement {found.mean_agreement:.4f} < {least:.4g}"
    return ""


def _not_in_steps(each: OutputDifference, step: float | None, rounding: float) -> str:
    """Return what is wrong with one output; without a step it is judged in parts of its spread.

    Args:
        each: the output's differences.
        step: how far one code of its last layer's input moves it.
        rounding: what rounding alone may do to it (rms).
    """
    if not step:
        unit = each.spread or 1.0
        off, most = each.rms / unit, max(MOST_SPREAD, rounding / unit)
        return "" if off <= most else f"{off:.3g} of its spread off (rms) > {most:.3g}"
    most = max(MOST_STEPS, MOST_SPREAD * each.spread / step, rounding / step)
    off = each.rms / step
    return "" if off <= most else f"{off:.3g} quantization steps off (rms) > {most:.3g}"
