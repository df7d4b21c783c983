"""A runtime that runs nothing: its "model" is a JSON file of sleeps, bytes to touch and faults.

It lets everything above a runtime be tested anywhere, with numbers that are known beforehand.
"""

from __future__ import annotations

import functools
import json
import mmap
import os
import shutil
import signal
import time
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd.runtime import EngineInput
from edgekd.runtime import Inference
from edgekd.runtime import Precision
from edgekd.runtime import Runtime
from edgekd.runtime import Session
from edgekd.runtime import Shapes

if TYPE_CHECKING:
    import numpy as np

MODEL = "model.json"
DEFAULTS: dict[str, Any] = {
    "load_ms": 0,
    "first_ms": 0,
    "run_ms": 0,
    "touch_bytes": 0,
    "features": 4,
    "fault": "",
    "fault_at": "run",
}
"""What the model file may say; `fault` is a name of `FAULTS`, `fault_at` is ``load`` or ``run``."""


def _hang() -> None:
    while True:
        time.sleep(3600)


def _segfault() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _refuse() -> None:
    raise ValueError("this model is refused")


def _fork() -> None:
    if os.fork() == 0:
        _hang()


def _flood() -> None:
    line = b"x" * 2**20
    for _ in range(1024):
        os.write(1, line)


def _hoard() -> None:
    """Ask for all memory there is and touch none of it: only a limit can refuse that."""
    try:
        mmap.mmap(-1, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), mmap.MAP_PRIVATE)
    except OSError as error:
        raise MemoryError from error


FAULTS: dict[str, Callable[[], object]] = {
    "": lambda: None,
    "segfault": _segfault,
    "abort": os.abort,
    "hang": _hang,
    "exit": lambda: os._exit(0),
    "refuse": _refuse,
    "fork": _fork,
    "flood": _flood,
    "hoard": _hoard,
    "chatter": lambda: os.write(1, b'{"token": "forged"}\n' * 1000 + b"half a line"),
}


def why_not() -> str | None:
    """None: nothing is needed."""
    return None


def precisions() -> tuple[Precision, ...]:
    """fp32 and int8, which are the same here."""
    return ("fp32", "int8")


def build(onnx: Path, folder: Path, precision: Precision) -> dict[str, Path]:
    """A copy of the model file."""
    shutil.copyfile(onnx, folder / MODEL)
    return {MODEL: folder / MODEL}


class _Session:
    """Sleeps, and gives its input back flattened."""

    def __init__(self, says: Mapping[str, Any]) -> None:
        self.inputs = (EngineInput("x", "float32", (None, says["features"])),)
        self.output_names = ("y",)
        self._says = says
        self._runs = 0
        self._kept = bytearray(says["touch_bytes"])
        for start in range(0, len(self._kept), 4096):
            self._kept[start] = 1  # a page that was never written is not resident

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """One inference that is none."""
        pause_ms = self._says["run_ms" if self._runs else "first_ms"]
        self._runs += 1
        if pause_ms:
            time.sleep(pause_ms / 1000)
        if self._says["fault_at"] == "run":
            FAULTS[self._says["fault"]]()
        x = feeds["x"]
        return [x.reshape(len(x), -1)]

    def bind(self, feeds: Mapping[str, np.ndarray]) -> Inference:
        """Nothing is copied here in any case."""
        return functools.partial(self.run, feeds)


def load(
    files: Mapping[str, Path],
    precision: Precision,
    threads: int,
    *,
    batch: int | None = None,
    shapes: Shapes | None = None,
) -> Session:
    """A session that does what the model file says."""
    says = {**DEFAULTS, **json.loads(files[MODEL].read_text())}
    time.sleep(says["load_ms"] / 1000)
    if says["fault_at"] == "load":
        FAULTS[says["fault"]]()
    return _Session(says)


def kernels(files: Mapping[str, Path], precision: Precision) -> dict[str, int]:
    """One sleep."""
    return {"Sleep f32": 1}


RUNTIME = Runtime(
    name="null",
    modules=("numpy",),
    extra="",
    distribution="edgekd",
    why_not=why_not,
    precisions=precisions,
    build=build,
    load=load,
    kernels=kernels,
)
