"""A compiled model as the benchmark takes it: which runtime, how, and its files by their names."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from typing import NamedTuple


class Engine(NamedTuple):
    """One engine on one number of threads."""

    runtime: str
    precision: str
    threads: int
    files: dict[str, Path]
    """By the runtime's own names (``model.onnx``; ``model.xml``, ``model.bin``), lying anywhere."""

    def label(self) -> str:
        """``onnxruntime-fp32-1t``."""
        return f"{self.runtime}-{self.precision}-{self.threads}t"

    def spec(self) -> dict[str, Any]:
        """What a worker is told of it."""
        return {
            "runtime": self.runtime,
            "precision": self.precision,
            "threads": self.threads,
            "files": {name: str(path) for name, path in self.files.items()},
        }


@contextmanager
def laid_out(engine: Engine) -> Iterator[Engine]:
    """The same engine with links under the names its runtime expects, side by side.

    A file in the store is called by its digest; an engine tells formats apart by suffix and looks
    for weights beside the graph.
    """
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        links = {name: Path(folder) / name for name in engine.files}
        for name, link in links.items():
            link.symlink_to(engine.files[name].resolve())
        yield engine._replace(files=links)
