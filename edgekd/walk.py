"""Walk the steps of a plan: find each in the store or run it, in order, under its lock."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from typing import NamedTuple
from typing import NoReturn

from edgekd import files
from edgekd import sources
from edgekd.errors import MachineError
from edgekd.follow import share_step
from edgekd.progress import Progress
from edgekd.progress import StepEnd
from edgekd.progress import StepStart
from edgekd.run import Options
from edgekd.side_process import SideProcess
from edgekd.stage import EVERY
from edgekd.stage import Bindings
from edgekd.stage import Context
from edgekd.stage import Step
from edgekd.stage import input_digests
from edgekd.stage import key_inputs
from edgekd.stage import origin_of
from edgekd.stage import wire_inputs
from edgekd.store import CreationTime
from edgekd.store import Store
from edgekd.store import StoreEntry
from edgekd.store import compute_key


class StepResult(NamedTuple):
    """The result of one step, and whether the store held it already."""

    step: Step
    entry: StoreEntry
    hit: bool
    took_s: float


class StepForecast(NamedTuple):
    """The forecast for one step, without running anything."""

    step: Step
    key: str | None
    """None if it depends on a step that has not run."""
    hit: bool


class Walker:
    """Carries results from step to step; the store is all it remembers by."""

    def __init__(
        self,
        store: Store,
        options: Options,
        progress: Progress,
        bindings: Bindings,
        begin: Callable[[str], object] | None = None,
    ) -> None:
        """`begin` is told the key of each step before its result is looked for."""
        self.store, self.options, self.progress = store, options, progress
        self.bindings, self._begin = bindings, begin
        self.side: SideProcess | None = None
        self.entries: dict[str, StoreEntry] = {}
        self.walked: list[StepResult] = []
        self._steps: dict[str, Step] = {}
        self._keys: dict[str, str] = {}

    def walk(self, steps: Sequence[Step]) -> None:
        """Find or make every step's result."""
        wanted = _wanted(steps)
        for step in steps:
            self.run_step(step, wanted.get(step.label, ()))

    def run_step(self, step: Step, wanted: Collection[str] = ()) -> None:
        """Find or make one step's result.

        Args:
            step: the step.
            wanted: files that a stored result must have: one that lacks any is not this step's.
        """
        self._require_complete(step)
        self.progress.event(StepStart(step.label, step.stage.name))
        started = time.monotonic()
        key, inputs = self._identify(step)
        if self._begin is not None:
            self._begin(key)
        # not lookup: another walker may be committing it just now
        find = functools.partial(self.store.peek, key, wanted)
        entry, hit = find(), True
        if entry is None and self.side is not None:
            entry = self.side.await_step(step.label, find, self.progress)
        if entry is None:
            with self.store.lock(key, wait=self.options.wait, waiting=self._waiting):
                remains = self.store.find_remains(key)
                entry = self.store.lookup(key, wanted)
                hit = entry is not None
                if entry is None:
                    entry = self._make(step, key, inputs, remains)
        if self.side is not None and self.side.report_step(step.label, self.progress):
            hit = False  # this run made it, in another process
        self.entries[step.label] = entry
        result = StepResult(step, entry, hit, time.monotonic() - started)
        self.walked.append(result)
        paths = {name: self.store.blob_path(blob.sha256) for name, blob in entry.files.items()}
        self.progress.event(StepEnd(step.label, step.stage.name, hit, result.took_s, paths))

    def _identify(self, step: Step) -> tuple[str, dict[str, Any]]:
        """The key of a step and what is hashed into it."""
        self._steps[step.label] = step
        origin = origin_of(step, self._steps)
        inputs = key_inputs(step, input_digests(step, self.entries), self.bindings, origin)
        return compute_key(inputs), inputs

    def can_make(self, step: Step) -> bool:
        """Return whether all that a step takes is known."""
        return all(label in self.entries for label, _ in step.takes.values())

    def find_step(self, step: Step) -> bool:
        """Return whether the store has a step's result, and know it from now on; makes nothing."""
        if step.label not in self._keys:
            self._keys[step.label], _ = self._identify(step)
        entry = self.store.peek(self._keys[step.label])
        if entry is not None:
            self.entries[step.label] = entry
        return entry is not None

    def path(self, label: str, file: str) -> Path:
        """Return where a finished step's file lies."""
        self._require(label, file)
        return self.store.blob_path(self.entries[label].files[file].sha256)

    def _make(
        self, step: Step, key: str, inputs: dict[str, Any], remains: Mapping[str, Path]
    ) -> StoreEntry:
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
            remains=remains,
        )
        sources = wire_inputs(step, self.entries)
        given = {name: self.path(label, file) for name, (label, file) in sources.items()}
        given |= step.external
        if self.side is not None:
            self.side.start()
        began, started = time.gmtime(), time.monotonic()
        with share_step(step, given, context, self.options.team):
            outputs = step.stage.run(step.settings, given, context)
        self._want_unchanged(step, inputs)
        took_s = round(time.monotonic() - started, 3)
        when = CreationTime(time.strftime("%Y-%m-%dT%H:%M:%SZ", began), took_s)
        entry = self.store.commit(inputs, outputs, when)
        self.progress.end()
        return entry

    def _require_complete(self, step: Step) -> None:
        for label, file in step.takes.values():
            if file != EVERY:
                self._require(label, file)

    def _require(self, label: str, file: str) -> None:
        if file not in self.entries[label].files:
            self.reject(label, f"has no {file}")

    def reject(self, label: str, why: str) -> NoReturn:
        """Put a stored result aside that is not what its step makes: somebody else wrote it.

        Raises:
            MachineError: always.
        """
        key = self.entries[label].key
        with self.store.lock(key):
            self.store.quarantine(key)
        raise MachineError(
            f"{label}: its result in the store {why}; it is in quarantine now",
            hint="run the same command again: it is made anew",
        )

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
        if self.side is not None and self.side.is_running:
            return  # it is this run's own
        self.progress.note(f"waiting for another run on this store ({holder})")


def _wanted(steps: Sequence[Step]) -> dict[str, set[str]]:
    """By label, the files that other steps take from it."""
    wanted: dict[str, set[str]] = {}
    for step in steps:
        for label, file in step.takes.values():
            if file != EVERY:
                wanted.setdefault(label, set()).add(file)
    return wanted


def forecast_steps(
    steps: Sequence[Step], store: Store, bindings: Bindings
) -> Iterator[StepForecast]:
    """Yield which steps are in the store already; reads, never writes."""
    entries: dict[str, StoreEntry] = {}
    makers, wanted = {step.label: step for step in steps}, _wanted(steps)
    store.require_store()
    for step in steps:
        if any(label not in entries for label, _ in step.takes.values()):
            yield StepForecast(step, None, False)
            continue
        given, origin = input_digests(step, entries), origin_of(step, makers)
        key = compute_key(key_inputs(step, given, bindings, origin))
        entry = store.peek(key, wanted.get(step.label, ()))
        if entry is not None:
            entries[step.label] = entry
        yield StepForecast(step, key, entry is not None)


@contextmanager
def open_store(options: Options) -> Iterator[Store]:
    """Open the store and keep garbage collection out while a run uses it."""
    store = Store(options.store).open()
    store.sweep()
    with ExitStack() as stack:
        stack.enter_context(store.lock("store", shared=True, wait=options.wait))
        yield store
        store.save_verified()
