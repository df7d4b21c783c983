"""The engine whose times decide what pays, as the stages that ask it are told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from typing import Literal

from pydantic import Field

from edgekd.bench import lookup
from edgekd.device import Device
from edgekd.learn.budget import ModelTiming
from edgekd.settings import Positive
from edgekd.settings import Settings


class Decider(Settings):
    """The device that runs the graphs, and the number of runs."""

    runtime: str
    """Whose times count; a name of `edgekd.runtimes.RUNTIMES`."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the engine."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """Of the engine."""
    processes: Annotated[int, Field(ge=1, le=100)] = 6
    """Fresh processes in which whole models are timed side by side; an interval needs six."""
    timeout_s: Positive = 600.0
    """After this a process is killed."""

    def lookup_settings(self) -> lookup.LookupSettings:
        """The same, as a worker takes it."""
        return lookup.LookupSettings(
            self.runtime, self.precision, self.threads, timeout_s=self.timeout_s
        )

    def time_pair(self, before: Path, after: Path, device: Device) -> ModelTiming:
        """Times two ONNX files side by side on `device`; as `edgekd.bench.lookup.time_pairs`."""
        told = lookup.time_pairs(
            before, after, self.lookup_settings(), self.processes, device=device
        )
        interval = told.interval and (told.interval.low, told.interval.high)
        return ModelTiming(told.a_ms, told.b_ms, told.ratio, interval)
