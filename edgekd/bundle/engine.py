"""The engine a bundle is run with on some machine: the chosen one, or the nearest that is there."""

from __future__ import annotations

from pathlib import Path

from edgekd import runtimes
from edgekd.admission import external_data
from edgekd.bench.build import build_engine
from edgekd.bench.engine import Engine
from edgekd.bench.machine import host
from edgekd.bundle.manifest import FUSED
from edgekd.bundle.models import BundledModel
from edgekd.device import TIMEOUT_S
from edgekd.device import Device
from edgekd.devices import local
from edgekd.profile import stored_precision


def prepare_engine(
    found: BundledModel,
    runtime: str | None,
    scratch: Path,
    *,
    timeout_s: float = TIMEOUT_S,
    device: Device = local.DEVICE,
) -> Engine | str:
    """The first engine that `device` offers, built into `scratch`; or why there is none.

    Args:
        found: one model of a bundle.
        runtime: which engine; None takes the chosen one if it is installed, else any of edgekd's that is.
        scratch: an empty folder.
        timeout_s: after this a build is given up.
        device: where it will run, on no more threads than it has cores, whatever the manifest says.

    Raises:
        InputError: if the engine refuses the model, or is unknown.
        MachineError: if it crashes on it.
    """
    chosen = found.chosen
    names = [runtime] if runtime else [chosen.runtime, *runtimes.BUILT_IN]
    if runtime:
        runtimes.find_entry(runtime)
    known = dict.fromkeys(name for name in names if runtime or name in runtimes.RUNTIMES)
    reasons = []
    for name in known:
        here = device is local.DEVICE and name in runtimes.BUILT_IN
        reason = runtimes.why_not(name) if here else None  # a plugin's code runs in workers alone
        for precision in _precisions(found, name) if reason is None else ():
            built = _built(found, name, precision, scratch, timeout_s, device)
            if isinstance(built, Engine):
                return built
            reason = built
        reasons.append(str(reason))
    return "; ".join(dict.fromkeys(reasons)) or "no known engine is named"


def choose_file(found: BundledModel, runtime: str, scratch: Path) -> Path:
    """The file that an engine is built from, with all of its weights: of a decoder the one of fused operators, where the engine
    takes that.

    Args:
        found: one model of a bundle.
        runtime: the engine.
        scratch: a folder, in which a file may be made that holds what two of the bundle share.

    Raises:
        InputError: if its weights are not where it says.
    """
    fuses = runtime in runtimes.RUNTIMES and runtimes.RUNTIMES[runtime].fuses_decoders
    if not fuses or found.fused is None:
        return found.path
    return external_data.embed_weights(found.fused, scratch / f"whole-{FUSED}")


def _precisions(found: BundledModel, runtime: str) -> list[str]:
    """Return what the file is run in, the best first: one with Q/DQ in int8 alone, wherever it is, with what is not
    quantized in fp32 where an engine has nothing better."""
    chosen = found.chosen
    stored = stored_precision(chosen.precision)
    if chosen.profile or stored == "int8":  # made by a step, or a file that came so
        return list(dict.fromkeys([chosen.precision, stored]))
    wanted = [chosen.precision, "fp32"] if runtime == chosen.runtime else ["fp32"]
    return list(dict.fromkeys(wanted))


def _built(
    found: BundledModel,
    runtime: str,
    precision: str,
    scratch: Path,
    timeout_s: float,
    device: Device,
) -> Engine | str:
    folder = scratch / f"{runtime}-{precision}"
    folder.mkdir()
    path = choose_file(found, runtime, folder)
    built = build_engine(path, runtime, precision, folder, timeout_s=timeout_s, device=device)
    if "not_measured" in built:
        return str(built["not_measured"])
    files = {name: folder / file for name, file in built["files"].items()}
    threads = min(found.chosen.threads, host.max_threads(device))
    return Engine(runtime, precision, threads, files)
