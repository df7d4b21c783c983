"""A compiled model as the benchmark takes it: which runtime, how, and its files by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd.device import inside

ONNX = "model.onnx"
"""What a worker that compiles finds its model under."""


class Engine(NamedTuple):
    """One engine on one number of threads."""

    runtime: str
    precision: str
    threads: int
    files: dict[str, Path]
    """By the runtime's own names (``model.onnx``; ``model.xml``, ``model.bin``), lying anywhere: a
    worker finds them under these names, side by side, as its engine expects."""

    def label(self) -> str:
        """``onnxruntime-fp32-1t``."""
        return f"{self.runtime}-{self.precision}-{self.threads}t"

    def spec(self) -> dict[str, Any]:
        """What a worker is told of it; it must be given `files` to read."""
        return {
            "runtime": self.runtime,
            "precision": self.precision,
            "threads": self.threads,
            "files": {name: inside(name) for name in self.files},
        }
