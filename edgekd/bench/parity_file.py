"""parity.json: how far the answers of an exported file are from torch's on the golden inputs.

Of several outputs the worst is told, and under `outputs` each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekd.bench import golden
from edgekd.bench.answers import LEAST_AGREEMENT
from edgekd.bench.answers import MOST_ROUNDING
from edgekd.bench.answers import MOST_SPREAD
from edgekd.bench.answers import RoundingNoise
from edgekd.bench.answers import float_allowance
from edgekd.bench.differences import Differences
from edgekd.bench.golden import Golden
from edgekd.errors import InputError


def describe_float(found: Differences, *, tolerance: float, opset: int) -> dict[str, Any]:
    """The content of parity.json of a float model.

    Raises:
        InputError: if an output differs by more than the tolerance.
    """
    samples = len(found.agreement)
    outputs = {}
    for name, each in found.outputs.items():
        allowed = float_allowance(each.size, tolerance)
        if not each.max_abs <= allowed:  # NaN is refused too
            raise InputError(
                f"export: got {name} {each.max_abs:.3g} away from torch's (agreement "
                f"{found.mean_agreement:.2%} of {samples} samples), want at most {allowed:.3g}",
                hint="give export.opset another value, or raise export.tolerance",
            )
        outputs[name] = {"max_abs": each.max_abs, "allowed": allowed}
    return {
        "max_abs": found.max_abs,
        "agreement": found.mean_agreement,
        "samples": samples,
        "opset": opset,
        "tolerance": tolerance,
        "allowed": max(each["allowed"] for each in outputs.values()),
        **({"outputs": outputs} if len(outputs) > 1 else {}),
    }


def describe_quantized(
    found: Differences,
    steps: Mapping[str, float | None],
    *,
    rounded: Differences,
    profile: str,
    opset: int,
) -> dict[str, Any]:
    """The content of parity.json of a quantized model.

    Nothing is refused here: this machine need not be the one the file is for. `edgekd.bench.answers`
    judges each engine's answers where it runs.

    Args:
        found: how far ONNX Runtime's outputs are from torch's, with the same roundings.
        steps: by output, how far a number moves when one input of the last quantized layer before it moves by one
            quantization step; None where no such layer leads to it.
        rounded: how far torch's own outputs move when only biases are rounded, as int32 sums hold them.
        profile: by which it was written.
        opset: likewise.
    """
    outputs = {
        name: {"max_abs": each.max_abs, "rms": each.rms, "step": steps[name]}
        for name, each in found.outputs.items()
    }
    in_steps = [
        each.max_abs / step for name, each in found.outputs.items() if (step := steps[name])
    ]
    return {
        "profile": profile,
        "max_abs": found.max_abs,
        "rms": found.rms,
        "logit_step": next(filter(None, steps.values()), None),
        "max_steps": max(in_steps, default=None),
        "agreement": found.mean_agreement,
        "samples": len(found.agreement),
        "opset": opset,
        "rounding": {
            "rms": {name: each.rms for name, each in rounded.outputs.items()},
            "agreement": rounded.mean_agreement,
        },
        **({"outputs": outputs} if len(outputs) > 1 else {}),
    }


def describe_noise(rounded: Differences) -> str:
    """Return one sentence if rounding alone moves a model's answers by more than any engine may otherwise; else ''."""
    parts = [each.rms / (each.spread or 1.0) for each in rounded.outputs.values()]
    part, changed = max(parts), 1 - rounded.mean_agreement
    if MOST_ROUNDING * part <= MOST_SPREAD and MOST_ROUNDING * changed <= 1 - LEAST_AGREEMENT:
        return ""
    return (
        f"rounding its biases alone moves the answers by {part:.1%} of their spread and changes {changed:.1%} of the "
        f"decisions; an engine's may be {MOST_ROUNDING:g} times as far from torch's"
    )


def read_rounding(parity: Mapping[str, Any]) -> RoundingNoise:
    """Rounding's own part in a quantized model's answers, as parity.json has it; none of a float model."""
    return RoundingNoise(**parity.get("rounding", {}))


def read_steps(parity: Mapping[str, Any], groups: Golden) -> dict[str, float]:
    """Quantization steps by output, as parity.json has them; none of a float model."""
    names = list(groups[golden.USUAL].outputs)
    if len(names) == 1:
        steps = {names[0]: parity.get("logit_step")}
    else:
        steps = {name: parity.get("outputs", {}).get(name, {}).get("step") for name in names}
    return {name: step for name, step in steps.items() if step}
