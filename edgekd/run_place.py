"""Which folder a run fills: a run with other settings than a folder holds does not overwrite it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd import run_folder
from edgekd.errors import InputError
from edgekd.run import Options
from edgekd.run_folder import RunFolder
from edgekd.store import locking
from edgekd.strict_json import find_differences

RESULT = "result.json"
NAMED_KEYS = 3
"""How many of the keys that differ are named."""


class RunSettings(NamedTuple):
    """What makes two runs the same run: the recipe with every default, and the device that measures."""

    recipe: Mapping[str, Any]
    device: str

    @property
    def digest(self) -> str:
        """SHA-256 of both."""
        return files.digest_bytes(
            files.canonical_json({"recipe": self.recipe, "device": self.device})
        )


class HeldRun(NamedTuple):
    """What a folder holds, compared with the settings of another run."""

    is_other: bool
    """Whether a finished run stands there, and its settings differ."""
    differing: tuple[str, ...] = ()
    """Keys that differ, as far as the folder says."""

    @property
    def sentence(self) -> str:
        """``holds a run with another student.train.epochs``."""
        if not self.differing:
            return "holds a run with other settings"
        shown = ", ".join(self.differing[:NAMED_KEYS])
        more = len(self.differing) - NAMED_KEYS
        return f"holds a run with another {shown}{f' and {more} more keys' if more > 0 else ''}"


def describe_held_run(folder: Path, settings: RunSettings) -> HeldRun:
    """Compare what a run wrote into `folder` with `settings`; a result that cannot be read is another run's."""
    path = folder / RESULT
    marker = run_folder.read_marker(folder)
    if not path.is_file() or RESULT not in marker.files or marker.filled == settings.digest:
        return HeldRun(False)
    try:
        value = files.read_json(path)
        recipe, device = value["resolved_recipe"], value["environment"].get("device")
    except (InputError, KeyError, TypeError, AttributeError):
        return HeldRun(True)
    held = RunSettings(recipe, device or settings.device)
    if held.digest == settings.digest:
        return HeldRun(False)
    keys = tuple(key for key, *_ in find_differences(held.recipe, settings.recipe))
    return HeldRun(True, keys or (() if held.device == settings.device else ("device",)))


def find_run_folder(options: Options, settings: RunSettings) -> Path:
    """Return the folder that a run would fill now; makes and locks nothing.

    Raises:
        InputError: if the folder that was asked for holds a run with other settings.
    """
    if options.replace:
        return options.run_dir
    for folder in _list_folders(options):
        held = describe_held_run(folder, settings)
        if not held.is_other:
            return folder
        _require_may_move(folder, options, held)
    raise AssertionError("unreachable: numbers do not end")


@contextmanager
def hold_free_folder(
    options: Options, settings: RunSettings, *, waiting: Callable[[Path, str], None]
) -> Iterator[RunFolder]:
    """Hold the first folder that is free for a run or holds one with the same settings.

    A folder in which another run with other settings is at work is not waited for, where another may be taken.

    Args:
        options: which folder is asked for, and whether another may be taken.
        settings: of the run.
        waiting: called before waiting, with the folder and who holds it.

    Raises:
        InputError: if the folder that was asked for holds a run with other settings.
        MachineError: if another run holds it and `options.wait` is false, or it cannot be written.
    """
    for root in _list_folders(options):
        if _is_in_others_hands(root, options, settings):
            continue
        with run_folder.hold_run_folder(
            root,
            wait=options.wait,
            waiting=lambda holder, root=root: waiting(root, holder),  # type: ignore[misc]
        ) as folder:
            held = describe_held_run(root, settings)  # it may have ended while we waited
            if held.is_other and not options.replace:
                _require_may_move(root, options, held)
                continue
            folder.claim(settings.digest)
            yield folder
            return


def _list_folders(options: Options) -> Iterator[Path]:
    """Yield the folder that is asked for, then those beside it: ``NAME-2``, ``NAME-3``."""
    first = options.run_dir
    yield first
    yield from (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))


def _is_in_others_hands(root: Path, options: Options, settings: RunSettings) -> bool:
    """Return whether a folder may be passed by and holds a run with other settings, finished or at work."""
    if not options.may_move or options.replace:
        return False
    if describe_held_run(root, settings).is_other:
        return True
    if not (root / run_folder.LOCK).is_file():
        return False
    with locking.try_exclusive_lock(root / run_folder.LOCK) as alone:
        if alone:
            return False
    return run_folder.read_marker(root).running not in ("", settings.digest)


def _require_may_move(folder: Path, options: Options, held: HeldRun) -> None:
    if not options.may_move:
        raise InputError(
            f"{folder}: {held.sentence}, and keeps it",
            hint="give another --run-dir, or --replace",
        )
