"""What is measured and evaluated: one compiled model, on some numbers of threads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from typing import Any

from pydantic import Field

from edgekd.bench.engine import Engine
from edgekd.bench.roles import STUDENT
from edgekd.bench.roles import MeasuredRole
from edgekd.runtime import Precision
from edgekd.settings import Count
from edgekd.settings import Settings


def name_export(model: str, profile: str) -> str:
    """Name a file that is exported: ``teacher``, ``reference``, ``student``, ``student-x86`` of a profile."""
    return f"{model}-{profile}" if profile else model


class Candidate(Settings):
    """One compiled model."""

    name: str
    """Prefix of its files among a stage's inputs: ``student-onnxruntime-fp32``."""
    model: MeasuredRole
    runtime: str
    precision: Precision
    profile: str = ""
    """Of the Q/DQ file it is compiled from; empty for the float one."""
    threads: Annotated[tuple[Count, ...], Field(min_length=1, strict=False)]

    @property
    def exported(self) -> str:
        """Which export it is compiled from."""
        return name_export(self.model, self.profile)

    def engines(self, about: Mapping[str, Any], given: Mapping[str, Path]) -> dict[str, Engine]:
        """One engine a thread count, by the name of its row.

        Args:
            about: what engine.json says.
            given: a stage's inputs, this subject's files among them.
        """
        paths = {name: given[f"{self.name}/{name}"] for name in about["files"]}
        engines = [Engine(self.runtime, self.precision, n, paths) for n in self.threads]
        prefix = "" if self.model == STUDENT else f"{self.model}-"
        return {prefix + engine.label(): engine for engine in engines}
