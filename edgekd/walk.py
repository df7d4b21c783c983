"""Walk the steps of a plan: find each in the store or run it, in order, under its lock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd import sources
from edgekd.errors import MachineError
from edgekd.progress import Progress
from edgekd.run import Options
from edgekd.stage import Bindings
from edgekd.stage import Context
from edgekd.stage import Step
from edgekd.stage import given_digests
from edgekd.stage import key_inputs
from edgekd.stage import key_of
from edgekd.stage import origin_of
from edgekd.stage import wired
from edgekd.store import Entry
from edgekd.store import Store


class Walked(NamedTuple):
    """One step's result, and whether it was found or made."""

    step: Step
    entry: Entry
    hit: bool
    took_s: float


class Foreseen(NamedTuple):
    """What `foresee` knows of one step without running anything."""

    step: Step
    key: str | None
    """None if it depends on a step that has not run."""
    hit: bool


class Walker:
    """Carries results from step to step; the store is all it remembers by."""

    def __init__(
        self, store: Store, options: Options, progress: Progress, bindings: Bindings
    ) -> None:
        self.store, self.options, self.progress = store, options, progress
        self.bindings = bindings
        self.entries: dict[str, Entry] = {}
        self.walked: list[Walked] = []
        self._steps: dict[str, Step] = {}

    def walk(self, steps: Sequence[Step]) -> None:
        """Find or make every step's result."""
        for step in steps:
            self.one(step)

    def one(self, step: Step) -> Entry:
        """Find or make one step's result."""
        started = time.monotonic()
        self._steps[step.label] = step
        origin = origin_of(step, self._steps)
        inputs = key_inputs(step, given_digests(step, self.entries), self.bindings, origin)
        key = key_of(inputs)
        entry = self.store.peek(key)  # not lookup: another walker may be committing it just now
        hit = entry is not None
        if entry is None:
            with self.store.lock(key, wait=self.options.wait, waiting=self._waiting):
                entry = self.store.lookup(key)
                hit = entry is not None
                if entry is None:
                    entry = self._make(step, key, inputs)
        self.entries[step.label] = entry
        self.walked.append(Walked(step, entry, hit, time.monotonic() - started))
        return entry

    def path(self, label: str, file: str) -> Path:
        """Where a finished step's file lies."""
        return self.store.blob_path(self.entries[label].files[file].sha256)

    def _make(self, step: Step, key: str, inputs: dict[str, Any]) -> Entry:
        work = self.store.work_folder(key)
        made = work / "made"
        files.remove(made)
        self.progress.stage(step.label)
        context = Context(
            folder=files.make_folder(made),
            checkpoints=files.make_folder(work / "checkpoints"),
            seed=step.seed,
            progress=self.progress,
            allow_code=self.options.allow_code,
            allow_download=self.options.allow_download,
            data_dir=self.options.data_dir,
            device=self.options.device,
        )
        sources = wired(step, self.entries)
        given = {name: self.path(label, file) for name, (label, file) in sources.items()}
        given |= step.external
        outputs = step.stage.run(step.settings, given, context)
        self._want_unchanged(step, inputs)
        return self.store.commit(key, inputs, outputs)

    def _want_unchanged(self, step: Step, inputs: dict[str, Any]) -> None:
        sources.require_unchanged(step.stage.run.__module__)
        if origin_of(step, self._steps) != inputs["origin"]:
            raise MachineError(
                f"{step.label}: its files changed while they were read",
                hint="run the same command again",
            )
        for name, path in step.external.items():
            if files.digest_file(path) != inputs["given"][name]:
                raise MachineError(
                    f"{path}: changed while {step.label} was reading it",
                    hint="run the same command again",
                )

    def _waiting(self, holder: str) -> None:
        self.progress.note(f"waiting for another run on this store ({holder})")


def foresee(steps: Sequence[Step], store: Store, bindings: Bindings) -> Iterator[Foreseen]:
    """Which steps are in the store already; reads, never writes."""
    entries: dict[str, Entry] = {}
    makers = {step.label: step for step in steps}
    for step in steps:
        if any(label not in entries for label, _ in step.takes.values()):
            yield Foreseen(step, None, False)
            continue
        given, origin = given_digests(step, entries), origin_of(step, makers)
        key = key_of(key_inputs(step, given, bindings, origin))
        entry = store.peek(key)
        if entry is not None:
            entries[step.label] = entry
        yield Foreseen(step, key, entry is not None)


@contextmanager
def opened(options: Options) -> Iterator[Store]:
    """The store, held against garbage collection while a run uses it."""
    store = Store(options.store).open()
    store.sweep()
    with ExitStack() as stack:
        stack.enter_context(store.lock("store", shared=True, wait=options.wait))
        yield store
