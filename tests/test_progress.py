"""Events reach every callback in order, whatever display they go past."""

from __future__ import annotations

import pytest

from edgekd.progress import CallbackProgress
from edgekd.progress import EpochEnd
from edgekd.progress import Event
from edgekd.progress import Silent
from edgekd.progress import StepStart


class Lines(Silent):
    """Remembers what a display is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def stage(self, label: str) -> None:
        self.lines.append(label)


def test_callbacks_receive_events_in_order_and_the_display_its_text() -> None:
    first: list[Event] = []
    second: list[Event] = []
    display = Lines()
    progress = CallbackProgress(display, (first.append, second.append))
    progress.stage("teacher")
    progress.note("a line")
    events = [StepStart("teacher", "train"), EpochEnd("", 1, 2, {"kd": 0.5})]
    for event in events:
        progress.event(event)
    assert display.lines == ["teacher", "a line"]
    assert first == second == [events[0], EpochEnd("teacher", 1, 2, {"kd": 0.5})]


def test_what_a_callback_raises_goes_on() -> None:
    def refuse(event: Event) -> None:
        raise RuntimeError("mine")

    after: list[Event] = []
    progress = CallbackProgress(Silent(), (refuse, after.append))
    with pytest.raises(RuntimeError, match="mine"):
        progress.event(StepStart("teacher", "train"))
    assert not after
