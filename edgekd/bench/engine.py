"""A compiled model as the benchmark takes it: which runtime, how, and its files by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd.device import input_path

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
    tensors: str = ""
    """What the file's own tensors are, where the engine keeps them and is told another precision."""

    @property
    def numerics(self) -> str:
        """What it computes in, for tables and results."""
        return self.tensors or self.precision

    def label(self) -> str:
        """``onnxruntime-fp32-1t``."""
        return f"{self.runtime}-{self.numerics}-{self.threads}t"

    def spec(self) -> dict[str, Any]:
        """Return what a worker is told of it; it must be given `files` to read."""
        return {
            "runtime": self.runtime,
            "precision": self.precision,
            "threads": self.threads,
            "files": {name: input_path(name) for name in self.files},
        }
