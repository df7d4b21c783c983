"""An ONNX file becomes an engine, in a fresh worker on the device that will run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekd.bench.engine import ONNX
from edgekd.bench.process import run_worker
from edgekd.device import Device
from edgekd.devices import local


def build(
    model: Path,
    runtime: str,
    precision: str,
    goal: Path,
    *,
    timeout_s: float,
    kernels: bool = False,
    device: Device = local.DEVICE,
) -> dict[str, Any]:
    """Compile `model` on `device`; the engine's files come to `goal`.

    Returns:
        ``files`` (names in `goal`), ``version``, ``size_bytes`` and, if asked for, ``kernels``; or
        ``not_measured`` with the reason: the engine is missing there, or lacks the precision.

    Raises:
        InputError: if the file is not admitted or the engine refuses it.
        WorkerFailed: if the engine crashes or hangs on it.
    """
    spec = {"runtime": runtime, "precision": precision, "kernels": kernels}
    reads = {ONNX: model}
    return run_worker("compile", spec, timeout_s=timeout_s, reads=reads, goal=goal, device=device)
