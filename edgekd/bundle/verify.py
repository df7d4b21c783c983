"""Run a bundle's golden inputs through an engine of this machine and compare the answers."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import bundle
from edgekd import runtimes
from edgekd import task
from edgekd.bench.engine import Engine
from edgekd.bench.golden import write_inputs
from edgekd.bench.outputs import outputs
from edgekd.bench.process import run_worker
from edgekd.bundle import Bundle
from edgekd.bundle import Check
from edgekd.bundle import Tolerance
from edgekd.errors import BudgetMissed
from edgekd.errors import MachineError

WHAT = "golden answers"
TIMEOUT_S = 600.0


class Report(NamedTuple):
    """What was looked at in one bundle."""

    name: str
    checks: tuple[Check, ...]


def verify(folder: Path, runtime: str | None = None) -> Report:
    """Check every file of the bundle in `folder`, then its answers through one engine.

    Args:
        folder: the bundle.
        runtime: which engine; None takes the chosen one if it is installed, else any that is.

    Raises:
        InputError: if `folder` is no bundle, or `runtime` is unknown.
        BudgetMissed: if the manifest itself has changed.
        MachineError: if the engine crashes.
    """
    if runtime is not None:
        runtimes.find(runtime)
    manifest = bundle.read_manifest(folder)
    checks = [Check(bundle.MANIFEST, "ok", "is as it was written")]
    checks += bundle.digests(folder, manifest)
    if any(check.verdict != "ok" for check in checks):
        last = Check(WHAT, "not checked", "a file has changed")
    else:
        last = _golden(bundle.contents(folder, manifest), runtime)
    return Report(manifest.name, (*checks, last))


def conclude(report: Report) -> None:
    """Nothing if all is well.

    Raises:
        BudgetMissed: if a check failed.
        MachineError: if none failed, but one could not be made.
    """
    failed = [check for check in report.checks if check.verdict == "failed"]
    if failed:
        raise BudgetMissed(f"{report.name}: {failed[0].what}: {failed[0].text}")
    for check in report.checks:
        if check.verdict == "not checked":
            raise MachineError(f"{report.name}: {check.what}: not checked: {check.text}")


def _golden(found: Bundle, name: str | None) -> Check:
    """The first engine that is installed answers the golden inputs."""
    chosen = found.manifest.chosen
    names = [name] if name else [chosen.runtime, *runtimes.RUNTIMES]
    missing = {n: runtimes.find(n).why_not() for n in names if n in runtimes.RUNTIMES}
    usable = [n for n, reason in missing.items() if reason is None]
    if not usable:
        reasons = "; ".join(filter(None, missing.values())) or "no known engine is named"
        return Check(WHAT, "not checked", reasons)
    runtime = usable[0]
    precisions = [chosen.precision, "fp32"] if runtime == chosen.runtime else ["fp32"]
    with tempfile.TemporaryDirectory(prefix="edgekd-") as scratch:
        for precision in precisions:
            built = _built(found, runtime, precision, Path(scratch))
            if "not_measured" not in built:
                files = {name: Path(scratch) / file for name, file in built["files"].items()}
                return _compared(found, Engine(runtime, precision, chosen.threads, files))
    return Check(WHAT, "not checked", built["not_measured"])


def _built(found: Bundle, runtime: str, precision: str, folder: Path) -> dict[str, Any]:
    spec = {
        "runtime": runtime,
        "precision": precision,
        "model": str((found.folder / "model.onnx").resolve()),
        "folder": str(folder),
        "kernels": False,
    }
    return run_worker("compile", spec, timeout_s=TIMEOUT_S)


def _compared(found: Bundle, engine: Engine) -> Check:
    import numpy as np

    what = f"{WHAT}, {engine.runtime} {engine.precision}"
    tolerance = stated(found.manifest.tolerance, engine.runtime, engine.precision)
    if tolerance is None:
        return Check(what, "not checked", "how close it has to be was never measured")
    with tempfile.TemporaryDirectory(prefix="edgekd-") as scratch:
        inputs = write_inputs(found.golden, Path(scratch) / "inputs.npy")
        got = outputs(engine, inputs, preprocessing=None, timeout_s=TIMEOUT_S)
    want = found.golden.outputs
    if got.shape != want.shape:
        return Check(what, "failed", f"got answers {got.shape}, want {want.shape}")
    max_abs = float(np.abs(got - want).max())
    agreement = task.top1_agreement(got, want)
    kept = max_abs <= tolerance.max_abs and agreement >= tolerance.top1_agreement
    return Check(
        what,
        "ok" if kept else "failed",
        f"{len(want)} samples, largest difference {max_abs:.2g} (at most {tolerance.max_abs:.2g}), "
        f"top-1 agreement {agreement:.2%} (at least {tolerance.top1_agreement:.2%})",
    )


def stated(tolerance: Mapping[str, Tolerance], runtime: str, precision: str) -> Tolerance | None:
    """What the manifest asks of an engine; in float32, of one it does not name, as of the others."""
    if precision != "fp32" or f"{runtime}/fp32" in tolerance:
        return tolerance.get(f"{runtime}/{precision}")
    return next((asked for name, asked in tolerance.items() if name.endswith("/fp32")), None)
