"""What a long piece of work says while it runs: text for people, events for callbacks."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple
from typing import Protocol


class RunStart(NamedTuple):
    """A run of a recipe begins."""

    run_dir: Path
    """The folder that it fills."""
    recipe: Mapping[str, Any]
    """The recipe with every default and every override."""
    steps: tuple[str, ...]
    """Labels of the steps up to the choice; what comes after is known when one is chosen."""


class StepStart(NamedTuple):
    """A step of a run begins; its result may be in the store already."""

    label: str
    """Unique in the run: ``teacher``, ``distil``, ``measure``."""
    stage: str
    """Its kind of work."""


class EpochEnd(NamedTuple):
    """An epoch of a training ends."""

    label: str
    """Of the step that trains; empty outside a run."""
    epoch: int
    """From 1."""
    epochs: int
    """How many there will be, unless the training stops early."""
    values: Mapping[str, float]
    """The mean of each loss term, ``learning_rate``, and ``score`` on the validation split if there is one."""


class StepEnd(NamedTuple):
    """A step of a run has its result."""

    label: str
    stage: str
    hit: bool
    """Whether the store held it already; then no epoch was reported."""
    took_s: float
    files: Mapping[str, Path]
    """Its files by name, in the store: to be read, never changed. ``history.json`` has a row an epoch,
    ``score.json`` what was reached."""


class RunEnd(NamedTuple):
    """A run of a recipe ends."""

    run_dir: Path
    """Where its report lies."""
    result: Mapping[str, Any] | None
    """What result.json says; None if the run failed."""
    error: BaseException | None = None
    """What it failed with, an interruption included."""


Event = RunStart | StepStart | EpochEnd | StepEnd | RunEnd
Callback = Callable[[Event], object]
"""Receives every event of a run in its order. What it raises stops the run."""


class Progress(Protocol):
    """Receives the reports of stages; the command line draws them, tests and servers stay silent."""

    def stage(self, label: str) -> None:
        """The step of this label begins."""

    def end(self) -> None:
        """The running stage has made its result."""

    def update(self, done: int, total: int, text: str) -> None:
        """`done` of `total` units are through; `text` says how it goes."""

    def note(self, text: str) -> None:
        """One lasting line."""

    def event(self, event: Event) -> None:
        """Something happened that callbacks wait for."""


class Silent:
    """Says nothing."""

    def stage(self, label: str) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""

    def update(self, done: int, total: int, text: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def event(self, event: Event) -> None:
        """Nothing."""


SILENT = Silent()


class CallbackProgress:
    """A display whose events callbacks receive, in their order."""

    def __init__(self, display: Progress, callbacks: Sequence[Callback]) -> None:
        """
        Args:
            display: draws what is text.
            callbacks: asked one after another; the first that raises stops the run.
        """
        self.stage, self.end = display.stage, display.end
        self.update, self.note = display.update, display.note
        self._callbacks = tuple(callbacks)
        self._label = ""

    def event(self, event: Event) -> None:
        """Tell every callback; an epoch gets the label of the running step."""
        if isinstance(event, StepStart):
            self._label = event.label
        if isinstance(event, EpochEnd):
            event = event._replace(label=self._label)
        for callback in self._callbacks:
            callback(event)
