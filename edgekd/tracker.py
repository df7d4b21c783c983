"""What a tracker is: a place that keeps curves, figures and files of runs, for people who compare many."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import NamedTuple
from typing import Protocol

from edgekd.printable import escape_unprintable
from edgekd.progress import EpochEnd
from edgekd.progress import Event
from edgekd.progress import RunEnd
from edgekd.progress import RunStart
from edgekd.progress import StepEnd

ARTIFACTS = ("report.html", "report.md", "result.json", "bundle")
"""Of the run folder, where they are there."""
FIGURES = (
    "score",
    "validation_score",
    "latency_p50_ms",
    "latency_p90_ms",
    "peak_rss_bytes",
    "size_bytes",
    "agreement",
)
"""Of a measured row."""
COMPARED = ("times_smaller", "times_faster", "score_drop")
"""Of the chosen row beside the teacher's."""


class RunWriter(Protocol):
    """Takes in what is known of one run."""

    def log_params(self, params: Mapping[str, str]) -> None:
        """What was asked for, as text."""

    def log_values(self, values: Mapping[str, float], step: int) -> None:
        """Finite numbers; the step is the epoch of a curve, else 0."""

    def log_artifact(self, path: Path) -> None:
        """A finished file or folder of the run."""

    def close(self, *, failed: bool) -> None:
        """Nothing comes after this."""


class TrackerEntry(NamedTuple):
    """A line of the table of trackers."""

    module: str
    """With ``open_run(where, start)``, which gives a `RunWriter`."""
    package: str
    """What it imports."""
    extra: str
    """Of edgekd, which installs that."""
    summary: str


class RunTracker:
    """A callback of runs that fills a `RunWriter`; if that fails, the run goes on without it, after one warning."""

    def __init__(
        self, name: str, open_run: Callable[[RunStart], RunWriter], warn: Callable[[str], None]
    ) -> None:
        """
        Args:
            name: of the tracker, for the warning.
            open_run: asked once, when a run begins.
            warn: gets the warning.
        """
        self._name, self._open, self._warn = name, open_run, warn
        self._writer: RunWriter | None = None
        self._epochs: set[tuple[str, int]] = set()
        self._broken = False

    def __call__(self, event: Event) -> None:
        """Take in an event of a run."""
        if self._broken:
            return
        try:
            self._take(event)
        except Exception as error:  # whatever a library does, hours of training are worth more
            self._broken = True
            reason = escape_unprintable(" ".join(str(error).split()))[:300]
            self._warn(
                f"warning: {self._name}: {reason or type(error).__name__}; it gets nothing more of this run, "
                f"which goes on"
            )

    def _take(self, event: Event) -> None:
        if isinstance(event, RunStart):
            self._writer = self._open(event)
            self._writer.log_params(dict(flatten_settings(event.recipe)))
        elif self._writer is None:
            return
        elif isinstance(event, EpochEnd):
            self._log_epoch(self._writer, event.label, event.epoch, event.values)
        elif isinstance(event, StepEnd):
            self._log_step(self._writer, event)
        elif isinstance(event, RunEnd):
            self._finish(self._writer, event)

    def _log_epoch(
        self, writer: RunWriter, label: str, epoch: int, values: Mapping[str, Any]
    ) -> None:
        if (label, epoch) not in self._epochs:
            self._epochs.add((label, epoch))
            writer.log_values(_finite({f"{label}/{n}": v for n, v in values.items()}), epoch)

    def _log_step(self, writer: RunWriter, event: StepEnd) -> None:
        """Its figures; and epochs that were not reported, since the store or a checkpoint held them."""
        if "history.json" in event.files:
            history = json.loads(event.files["history.json"].read_bytes())
            for epoch, values in enumerate(history, 1):
                self._log_epoch(writer, event.label, epoch, values)
        figures: dict[str, Any] = {f"{event.label}/took_s": event.took_s}
        if "score.json" in event.files:
            score = json.loads(event.files["score.json"].read_bytes())
            reached = {**score.get("metrics", {}), **score, "metrics": None}
            figures |= {f"{event.label}/final/{name}": value for name, value in reached.items()}
        writer.log_values(_finite(figures), 0)

    def _finish(self, writer: RunWriter, event: RunEnd) -> None:
        if event.result is not None:
            writer.log_values(_finite(dict(list_figures(event.result))), 0)
            chosen = event.result.get("chosen")
            writer.log_params({"result.chosen": str(chosen), "result.why": event.result["why"]})
            for name in ARTIFACTS:
                if (event.run_dir / name).exists():
                    writer.log_artifact(event.run_dir / name)
        writer.close(failed=event.error is not None)


def flatten_settings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every setting as text by its dotted name, ``learn.0.losses.1.weight``; empty ones are left out."""
    if isinstance(value, Mapping | list | tuple):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, inner in items:
            yield from flatten_settings(inner, f"{name}.{key}" if name else str(key))
    elif value is not None:
        yield name, str(value)


def list_figures(result: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What result.json says of every row and of the comparison, by a name: ``rows/onnxruntime-fp32-1t/score``."""
    for row in (*result["candidates"], *result["references"]):
        yield from ((f"rows/{row['name']}/{figure}", row.get(figure)) for figure in FIGURES)
        if row["name"] == result["chosen"]:
            yield from ((f"chosen/{figure}", row.get(figure)) for figure in FIGURES)
    compared = result.get("comparison") or {}
    yield from ((f"chosen/{name}", compared.get(name)) for name in COMPARED)


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in values.items()
        if type(value) in (int, float) and math.isfinite(value)
    }
