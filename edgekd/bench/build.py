"""An ONNX file becomes an engine, in a fresh worker on the device that will run it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd.bench.engine import ONNX
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.device import Device
from edgekd.devices import local


def build_engine(
    model: Path,
    runtime: str,
    precision: str,
    goal: Path,
    *,
    timeout_s: float,
    kernels: bool = False,
    options: Mapping[str, str] | None = None,
    device: Device = local.DEVICE,
) -> dict[str, Any]:
    """Compile `model` on `device`; the engine's files come to `goal`.

    Args:
        model: an ONNX file.
        runtime: a name of `edgekd.runtimes.RUNTIMES`.
        precision: one that it offers there.
        goal: an empty folder.
        timeout_s: after this the build is given up.
        kernels: whether the optimized graph is opened and its kernels counted.
        options: what the runtime's `Entry.options` names, such as ``capability``.
        device: where it is built.

    Returns:
        ``files`` (names in `goal`), ``version``, ``size_bytes`` and, if asked for, ``kernels`` and
        ``islands``; and where there is a reason, ``not_measured``: beside the files if the engine is
        made and cannot run there, without if the runtime is missing there; ``not_offered`` besides if it
        lacks the precision there.

    Raises:
        InputError: if the file is not admitted or the engine refuses it.
        WorkerFailed: if the engine crashes or hangs on it.
    """
    spec = {
        "runtime": runtime,
        "precision": precision,
        "kernels": kernels,
        "options": dict(options or {}),
    }
    reads = {ONNX: model}
    found = run_worker("compile", spec, timeout_s=timeout_s, reads=reads, goal=goal, device=device)
    if "files" not in found:
        return {k: found[k] for k in ("not_measured", "not_offered") if k in found}
    if kernels and "kernels" not in found:
        raise WorkerFailed(f"{runtime}: got an engine without its kernels, want both")
    return {**found, "size_bytes": sum((goal / name).stat().st_size for name in found["files"])}
