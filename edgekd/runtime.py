"""What an inference engine is to edgekd: build, load, run, and a count of its kernels."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Literal
from typing import NamedTuple
from typing import Protocol

if TYPE_CHECKING:
    import numpy as np

    from edgekd.plugins import Plugin

Precision = Literal["fp32", "bf16", "fp16", "int8", "int8-bf16", "int4"]
"""``int8`` is the Q/DQ file of the target's profile, or one whose weights alone are in 8 bits; ``int4`` one whose weights
alone are in 4. What is not quantized in it runs in fp32, of ``int8-bf16`` in bf16."""
Shapes = Mapping[str, tuple[int, ...]]
"""The whole shape of each input by its name."""
Files = Mapping[str, Path]
"""An engine's files by their names."""


def always_runs(built: Files | None = None) -> str | None:
    """None: whoever can build this engine can run it."""
    return None


def no_islands(built: Files, precision: Precision) -> list[dict[str, str]]:
    """None are known."""
    return []


class EngineInput(NamedTuple):
    """One input of a model."""

    name: str
    dtype: str
    """numpy's name of the element type."""
    shape: tuple[int | None, ...]
    """None where the size is free."""


Inference = Callable[[], Sequence["np.ndarray"]]
"""One synchronous inference; its outputs hold until the next one of the same session."""


class Session(Protocol):
    """A loaded engine."""

    @property
    def inputs(self) -> tuple[EngineInput, ...]:
        """What it wants, in the model's order."""

    @property
    def output_names(self) -> tuple[str, ...]:
        """What it gives, in the model's order."""

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """One synchronous inference; the outputs in the model's order, the caller's to keep.

        The arrays of `feeds` are C-contiguous, writeable and of the element types `inputs` names.
        """

    def bind(self, feeds: Mapping[str, np.ndarray]) -> Inference:
        """The same inference with inputs and outputs handed over once, as a program that reuses its
        buffers does it: what is left is the engine's own time and one call."""


class TextStream(Protocol):
    """A decoder that is fed one text piece by piece, and keeps what it needs of it."""

    @property
    def length(self) -> int:
        """How many tokens it holds."""

    def describe(self) -> dict[str, str]:
        """``attention``: the operator and the numbers it computes in; ``cache``: those that keys and values of earlier tokens are
        kept in, ``none`` where none are. As the engine has them, not as it was asked."""

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """The logits [V] behind tokens int64 [N], which come behind those before; the caller's until the next call."""

    def rewind(self, length: int) -> None:
        """Forget all but the first `length` tokens."""


def no_stream(files: Files, precision: Precision, threads: int, longest: int) -> TextStream | None:
    """None: this engine has no better way than a call with states as inputs and outputs."""
    return None


class Runtime(NamedTuple):
    """One engine, as a handful of names; `edgekd.runtimes` holds them."""

    name: str
    modules: tuple[str, ...]
    """What a process imports before it can load; timed apart from loading."""
    extra: str
    """The extra of setup.cfg that installs it."""
    distribution: str
    """Whose version counts in keys and fingerprints."""
    why_not: Callable[[], str | None]
    """None if it can be used here, else one line that says what is missing. Imports nothing heavy."""
    precisions: Callable[[], tuple[Precision, ...]]
    """What it offers on this machine, fp32 first."""
    build: Callable[..., dict[str, Path]]
    """ONNX file, folder to write in, precision, and by keyword the options its `RuntimeEntry` names, each
    a str -> engine files by name. Raises ValueError."""
    load: Callable[..., Session]
    """Engine files by name, precision, threads, and by keyword `batch` and `shapes` -> session. With
    `batch` it is asked with this many rows alone, with `shapes` with inputs of these alone, which an
    engine may compile for; None leaves what is free free. Raises ValueError."""
    kernels: Callable[[Files, Precision], dict[str, int]]
    """``{"Conv f32": 9, ...}`` counted in the graph optimized for one row."""
    why_not_run: Callable[..., str | None] = always_runs
    """None if what is built here can run here, else one line (``no CUDA device``); given the files
    of an engine, whether that one can. Asked only where `why_not` is None; imports nothing heavy."""
    islands: Callable[[Files, Precision], list[dict[str, str]]] = no_islands
    """Float nodes that compute inside an int8 graph: ``node`` (its name in the ONNX file), ``op``,
    and ``cause`` in one line."""
    open_stream: Callable[[Files, Precision, int, int], TextStream | None] = no_stream
    """Files, precision, threads and the most tokens of a text to a stream whose states never leave the engine; None
    where it has none for such a file. Raises ValueError."""


class RuntimeEntry(NamedTuple):
    """One line of the table: where a runtime lives."""

    module: str
    distribution: str
    """Whose version counts in keys and fingerprints."""
    extra: str
    """The extra of setup.cfg that installs it."""
    known_precisions: tuple[Precision, ...]
    """What it offers on some machine, fp32 first; `Runtime.precisions` says what it does here."""
    summary: str
    options: tuple[str, ...] = ()
    """What its `build` takes by keyword besides."""
    instead: tuple[str, ...] = ()
    """Distributions that, where they are installed, are used in place of `distribution`."""
    keeps_floats: bool = False
    """Whether float tensors stay what they are in the file, whatever precision it is told."""
    profiles: tuple[str, ...] = ()
    """The Q/DQ files (`edgekd.profile`) it runs in integers, its own first; it may read others and gain nothing."""
    fuses_decoders: bool = False
    """Whether it gets a decoder as operators of the domain ``com.microsoft``."""
    caches: Mapping[str, str] = {}
    """By precision, what it is asked to keep a decoder's keys and values in, where that is not ``f32``."""
    plugin: Plugin | None = None
    """The entry point that adds it; None of edgekd's own."""

    def installed(self) -> str:
        """The distribution this engine is used from here; `distribution` where there is none."""
        import importlib.metadata  # its parser of mail takes a worker longer to import than all else of ours

        for name in (*self.instead, self.distribution):
            try:
                importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue
            return name
        return self.distribution

    def version(self) -> str:
        """The version of the engine that is used here, of a plugin's with the plugin's own.

        Raises:
            PackageNotFoundError: if it is not installed.
        """
        import importlib.metadata

        if self.plugin is None:
            return importlib.metadata.version(self.installed())
        if self.distribution == self.plugin.distribution:
            return self.plugin.version
        return f"{importlib.metadata.version(self.installed())} ({self.plugin})"

    def load(self) -> Runtime:
        """The runtime itself; imports its module, which imports the engine only when it is used."""
        runtime: Runtime = importlib.import_module(self.module).RUNTIME
        return runtime


def not_installed(name: str, extra: str) -> str:
    """The one sentence for an engine whose package is missing."""
    return f"{name} is not installed: pip install 'edgekd[{extra}]'"
