"""The second process of a run: makes the steps of a plan that it is told, as their inputs appear in the store.

``python -m edgekd.side_worker`` reads one order (JSON) on stdin and writes a line of JSON on its stdout for what it
begins, reports and ends. See `edgekd.side_process`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd import garbage
from edgekd import pipeline
from edgekd.bench.worker import die_with
from edgekd.bindings import find_bindings
from edgekd.progress import EpochEnd
from edgekd.progress import Event
from edgekd.recipe import Recipe
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.walk import Walker
from edgekd.walk import open_store

POLL_S = 0.05
"""Between two looks for what the first process makes."""
Write = Callable[[Mapping[str, Any]], None]


class _Relay:
    """Writes what a stage reports as lines for the first process."""

    def __init__(self, write: Write) -> None:
        self._write, self._label, self._began_s = write, "", 0.0

    def stage(self, label: str) -> None:
        self._label, self._began_s = label, time.monotonic()
        self._write({"what": "begin", "label": label})

    def end(self) -> None:
        took_s = time.monotonic() - self._began_s
        self._write({"what": "end", "label": self._label, "took_s": took_s})

    def update(self, done: int, total: int, text: str) -> None:
        line = {"what": "update", "done": done, "total": total, "text": text}
        self._write({**line, "label": self._label})

    def note(self, text: str) -> None:
        self._write({"what": "note", "label": self._label, "text": text})

    def event(self, event: Event) -> None:
        if isinstance(event, EpochEnd):
            values = {"epoch": event.epoch, "epochs": event.epochs, "values": dict(event.values)}
            self._write({"what": "epoch", "label": self._label, **values})


def main() -> None:
    """Do what stdin asks for."""
    channel = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no line of ours
    order = json.load(sys.stdin)
    die_with(order["parent_pid"])

    def write(line: Mapping[str, Any]) -> None:
        data = json.dumps(line).encode() + b"\n"
        while data:
            data = data[os.write(channel, data) :]

    recipe, options = read_order(order)
    steps = pipeline.plan(recipe, Path(order["recipe_path"]), options)
    with open_store(options) as store:
        walker = Walker(store, options, _Relay(write), find_bindings(options))
        make_steps(walker, steps, order["labels"], order["first"])


def read_order(order: Mapping[str, Any]) -> tuple[Recipe, Options]:
    """The recipe and the options of an order; the device is this machine."""
    recipe = Recipe.model_validate_json(json.dumps(order["recipe"]))
    data_dir = order["data_dir"]
    options = Options(
        run_dir=Path(order["run_dir"]),
        store=Path(order["store"]),
        data_dir=None if data_dir is None else Path(data_dir),
        allow_code=order["allow_code"],
        allow_download=order["allow_download"],
    )
    return recipe, options


def make_steps(walker: Walker, steps: Sequence[Step], labels: Sequence[str], first: str) -> None:
    """Make the steps of `labels`, `first` before all others and then the last that can be made.

    From the last: the first process takes those that are left from the other end.

    Args:
        walker: on the store that the other process fills.
        steps: the whole plan.
        labels: of those that are made here.
        first: one of them.
    """
    own = [step for step in steps if step.label in labels]
    others = [step for step in steps if step.label not in labels]
    own.sort(key=lambda step: step.label != first)
    while own:
        for step in [step for step in others if walker.can_make(step)]:
            if walker.find_step(step):
                others.remove(step)
        ready = [step for step in own if walker.can_make(step)]
        if not ready:
            time.sleep(POLL_S)
            continue
        step = ready[0] if ready[0].label == first else ready[-1]
        walker.run_step(step)
        own.remove(step)


if __name__ == "__main__":
    garbage.own_process()
    with contextlib.suppress(KeyboardInterrupt):
        main()
