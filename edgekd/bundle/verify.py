"""Run a bundle's golden inputs through an engine of this machine and compare the answers."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NamedTuple

import numpy as np

from edgekd import bundle
from edgekd import runtimes
from edgekd import splits
from edgekd.bench import golden
from edgekd.bench import numerics
from edgekd.bench import saturation
from edgekd.bench.differences import are_finite
from edgekd.bench.differences import compare_answers
from edgekd.bench.engine import Engine
from edgekd.bench.golden import USUAL
from edgekd.bench.golden import Golden
from edgekd.bench.golden import GoldenGroup
from edgekd.bench.machine import host
from edgekd.bench.machine import instructions
from edgekd.bench.outputs import compute_outputs
from edgekd.bench.outputs import write_inputs
from edgekd.bundle import Bundle
from edgekd.bundle import decisions
from edgekd.bundle import engine as bundle_engine
from edgekd.bundle import generation
from edgekd.bundle import manifest as manifests
from edgekd.bundle import signature
from edgekd.bundle.manifest import SAME_AGREEMENT
from edgekd.bundle.manifest import CheckResult
from edgekd.bundle.manifest import OutputTolerance
from edgekd.bundle.manifest import Tolerance
from edgekd.bundle.models import models_by_size
from edgekd.bundle.models import stated_tolerance
from edgekd.bundle.models import usual_model
from edgekd.device import TIMEOUT_S
from edgekd.device import Device
from edgekd.devices import local
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.units import number_text

if TYPE_CHECKING:
    from edgekd.field import Arrays

WHAT = "golden answers"
PREPROCESSING = "preprocessing"
LEAST_DIFFERENCE = 1e-4
"""Of an input made again from its pixels, in units of the input: two ways to round."""
INSTRUCTIONS = "instruction set"


class Report(NamedTuple):
    """All checks of one bundle."""

    name: str
    checks: tuple[CheckResult, ...]


def verify(
    folder: Path,
    runtime: str | None = None,
    *,
    key: Path | None = None,
    timeout_s: float = TIMEOUT_S,
    device: Device = local.DEVICE,
) -> Report:
    """Check every file of the bundle in `folder`, its signature, then its answers through one engine.

    Args:
        folder: the bundle; `edgekd.bundle.archive.open_bundle` gives one of an archive.
        runtime: which engine; None takes the chosen one if it is installed, else any that is.
        key: public key, PEM, that must have signed it; None asks for none.
        timeout_s: after this an engine is given up.
        device: whose engine answers.

    Raises:
        InputError: if `folder` is no bundle, `key` is no key, or `runtime` is unknown.
        BudgetMissed: if the manifest itself has changed.
        MachineError: if the engine crashes, or `key` is given and cannot be used here.
    """
    if runtime is not None:
        runtimes.find_entry(runtime)
    manifest = manifests.read_manifest(folder)
    checks = [CheckResult(manifests.MANIFEST, "ok", "is as it was written")]
    checks += manifests.check_digests(folder, manifest)
    signed = signature.check_signature(folder, manifest.digest, key)
    checks += [] if signed is None else [signed]
    if any(check.verdict == "failed" for check in checks):
        checks.append(CheckResult(WHAT, "not checked", "the files are not as they should be"))
    else:
        found = bundle.read_contents(folder, manifest)
        checks += _golden(found, runtime, timeout_s, device)
        checks += _check_sizes(found, runtime, timeout_s, device)
    return Report(manifest.name, tuple(checks))


def require_sound(report: Report) -> None:
    """Raise unless every check passed.

    Raises:
        BudgetMissed: if a check failed.
        MachineError: if none failed, but one could not be made. A signature that nobody asked for
            need not be checked, nor the preprocessing of a bundle that holds no pixels.
    """
    failed = [check for check in report.checks if check.verdict == "failed"]
    if failed:
        raise BudgetMissed(f"{report.name}: {failed[0].what}: {failed[0].text}")
    for check in report.checks:
        may_miss = check.what in (manifests.SIGNATURE, PREPROCESSING)
        if check.verdict == "not checked" and not may_miss:
            raise MachineError(f"{report.name}: {check.what}: not checked: {check.text}")


def _golden(
    found: Bundle, runtime: str | None, timeout_s: float, device: Device
) -> list[CheckResult]:
    """The first engine that is there answers the golden inputs, and the stored rows of some."""
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        scratch = Path(folder)
        engine = bundle_engine.prepare_engine(
            usual_model(found), runtime, scratch, timeout_s=timeout_s, device=device
        )
        if isinstance(engine, str):
            return [CheckResult(WHAT, "not checked", engine)]
        ask = functools.partial(compute_outputs, engine, timeout_s=timeout_s, device=device)
        answered = {
            name: ask(write_inputs(group.inputs, scratch / f"{name}.split"))
            for name, group in found.golden.items()
        }
        tolerance = stated_tolerance(found.manifest.tolerance, engine.runtime, engine.precision)
        checks = [_compared(found, answered, tolerance, engine, found.golden)]
        if checks[0].verdict != "failed":
            checks += generation.check_golden_text(
                found, engine, tolerance, timeout_s=timeout_s, device=device
            )
            checks.insert(0, _from_rows(found, ask, tolerance, scratch))
    if are_finite(answered) and tolerance is not None and is_quantized(found.folder):
        checks += _saturated(found.golden[USUAL], answered[USUAL], tolerance, device)
    return checks


def _check_sizes(
    found: Bundle, runtime: str | None, timeout_s: float, device: Device
) -> list[CheckResult]:
    """The engine of each bucket of sizes answers the golden inputs that fall into it."""
    checks = []
    for model in models_by_size(found):
        where = " beyond" if model.most is None else f" up to size {model.most}"
        with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
            scratch = Path(folder)
            engine = bundle_engine.prepare_engine(
                model, runtime, scratch, timeout_s=timeout_s, device=device
            )
            if isinstance(engine, str):
                checks.append(CheckResult(WHAT + where, "not checked", engine))
                continue
            answered = {
                name: compute_outputs(
                    engine,
                    write_inputs(group.inputs, scratch / f"{name}.split"),
                    timeout_s=timeout_s,
                    device=device,
                )
                for name, group in model.golden.items()
            }
        tolerance = stated_tolerance(model.tolerance, engine.runtime, engine.precision)
        checks.append(_compared(found, answered, tolerance, engine, model.golden, where))
    return checks


def _from_rows(
    found: Bundle,
    ask: Callable[..., dict[str, np.ndarray]],
    tolerance: Tolerance | None,
    scratch: Path,
) -> CheckResult:
    """Return whether stored rows become the golden inputs by task.json, and get the golden answers."""
    usual = found.golden[USUAL]
    if not usual.rows:
        return CheckResult(PREPROCESSING, "not checked", "the bundle holds no stored rows")
    count = len(next(iter(usual.rows.values())))
    for name, prepared in found.dataset.prepare_inputs(usual.rows).items():
        want = usual.inputs[name][:count]
        if prepared.shape != want.shape:
            text = f"{name} becomes {list(prepared.shape)}, want {list(want.shape)}"
            return CheckResult(PREPROCESSING, "failed", text)
        off = float(np.abs(prepared.astype(np.float64) - want).max(initial=0.0))
        if not off <= LEAST_DIFFERENCE * max(1.0, float(np.abs(prepared).max(initial=0.0))):
            text = f"{name} becomes an input {off:.2g} off the golden one"
            return CheckResult(PREPROCESSING, "failed", text)
    splits.write(scratch / "rows.split", usual.rows, np.arange(count))
    answered = ask(scratch / "rows.split", fields=found.dataset.inputs)
    first = usual._replace(outputs={k: each[:count] for k, each in usual.outputs.items()})
    try:
        differences = compare_answers({USUAL: answered}, {USUAL: first}, decisions.agree_always)
    except ValueError as error:
        return CheckResult(PREPROCESSING, "failed", f"stored rows get {error}")
    close = tolerance is None or all(
        each.max_abs <= tolerance.of_output(name).max_abs
        for name, each in differences.outputs.items()
    )
    return CheckResult(
        PREPROCESSING,
        "ok" if close else "failed",
        f"from what is stored to the answer: {number_text(count, 'sample')}, largest difference "
        f"{differences.max_abs:.2g}",
    )


def _compared(
    bundled: Bundle,
    answered: Mapping[str, Arrays],
    tolerance: Tolerance | None,
    engine: Engine,
    wanted: Golden,
    where: str = "",
) -> CheckResult:
    what = f"{WHAT}{where}, {engine.runtime} {engine.precision}"
    if tolerance is None:
        return CheckResult(what, "not checked", "how close it has to be was never measured")
    if not are_finite(answered):
        return CheckResult(what, "failed", "got answers that are not finite")
    try:
        agree = decisions.find_agree(bundled)
        found = compare_answers(answered, wanted, agree or decisions.agree_always)
    except (ValueError, InputError) as error:
        return CheckResult(what, "failed", f"got {error}")
    close = {
        name: each.max_abs <= tolerance.of_output(name).max_abs
        for name, each in found.outputs.items()
    }
    kept = all(close.values()) and found.mean_agreement >= tolerance.agreement - SAME_AGREEMENT
    name = min(close, key=lambda name: close[name])  # the first that is not close, if any
    several = f" of {name}" if len(close) > 1 else ""
    shown = _shown(found.outputs[name].max_abs, tolerance.of_output(name))
    return CheckResult(
        what,
        "ok" if kept else "failed",
        f"{number_text(len(found.agreement), 'sample')}, largest difference{several} {shown}, "
        + (
            f"agreement {found.mean_agreement:.2%} (at least {tolerance.agreement:.2%})"
            if agree
            else decisions.NOT_RUN
        ),
    )


def _shown(max_abs: float, tolerance: OutputTolerance) -> str:
    if tolerance.step is None:
        return f"{max_abs:.2g} (at most {tolerance.max_abs:.2g})"
    steps, most = max_abs / tolerance.step, tolerance.max_abs / tolerance.step
    return f"{max_abs:.2g}, {steps:.2g} quantization steps (at most {most:.2g})"


def _saturated(
    wanted: GoldenGroup, answered: Arrays, tolerance: Tolerance, device: Device
) -> list[CheckResult]:
    """Return whether quantized answers are noisier than where they were measured, and why; see saturation."""
    try:
        got = golden.match_outputs(answered, wanted)
    except ValueError:
        return []
    seen = []
    for name, want in wanted.outputs.items():
        own = tolerance.of_output(name)
        if own.rms is not None and len(want) >= saturation.LEAST and want.ndim > 1:
            stated = max(own.rms, own.step or 0)
            seen.append(saturation.check_saturation(want, got[name], stated_rms=stated))
    if not seen:
        return []
    worst = next((each for each in seen if not each.is_sound), seen[0])
    if worst.is_sound:
        return [CheckResult(INSTRUCTIONS, "ok", worst.text())]
    flags = host.describe_host(device).facts.get("flags") or ()
    if device is local.DEVICE:
        flags = instructions.usable_flags(flags)
    why = saturation.explain_cause(flags)
    return [CheckResult(INSTRUCTIONS, "failed", f"{worst.text()}: {why}")]


def is_quantized(folder: Path) -> bool:
    """Return whether the model of a bundle computes with 8-bit numbers."""
    return numerics.is_quantized(numerics.read_contents(folder / "model.onnx"))
