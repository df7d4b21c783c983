"""The folder a run fills for its user; what edgekd did not write there is never replaced.

A marker lists the digest of every file that runs have put there. A file, or a folder ``bundle/``, that stands
where a run wants to put its own is replaced only if each of its bytes is one of theirs. While a run goes on,
another file lists the results it stands on, so that what an interrupted one has done can be kept.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgekd import files
from edgekd.errors import InputError
from edgekd.store import locking

FORMAT = "edgekd.run/1"
MARKER = ".edgekd-run.json"
LOCK = ".edgekd-run.lock"
UNFINISHED = ".edgekd-run.unfinished.json"
WITHOUT_BUNDLE = "nothing-chosen"
"""Where a run that chooses nothing reports, if the bundle of another one stands in its folder."""


class RunFolder:
    """A run folder that this process holds alone; see `hold_run_folder`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ours = _read(root / MARKER)
        self._begun = unfinished_keys(root)

    def require_ours(self, *names: str, folders: Collection[str] = ()) -> None:
        """Raises InputError if one of these stands here and was not put here by a run, or was changed since.

        Args:
            names: of files.
            folders: of folders that are replaced whole.
        """
        for name in (*names, *folders):
            path = self.root / name
            above = [each for each in path.parents if each.is_relative_to(self.root)]
            strangers = [each for each in above if each.exists() and not each.is_dir()]
            if path.is_dir() and not path.is_symlink() and name not in folders:
                strangers.append(path)
            strangers += [each for each in _all_files(path) if not self._is_ours(each)]
            if strangers:
                raise InputError(
                    f"{strangers[0]}: is not what a run of edgekd wrote there, and stays",
                    hint="move it away or give another --run-dir",
                )

    def _is_ours(self, path: Path) -> bool:
        inside = path.relative_to(self.root).as_posix()
        return not path.is_symlink() and files.digest_file(path) in self._ours.get(inside, ())

    def begin(self, key: str) -> None:
        """Note that this run stands on the result under `key`, made or not, until `end`."""
        if key not in self._begun:
            self._begun.add(key)
            files.write_bytes(self.root / UNFINISHED, files.canonical_json(sorted(self._begun)))

    def end(self) -> None:
        """The run is finished: result.json names what it stands on."""
        self._begun.clear()
        files.remove(self.root / UNFINISHED)

    def has(self, name: str) -> bool:
        """Return whether something of that name stands here."""
        return (self.root / name).exists()

    def fill(self, wanted: Mapping[str, Path], folders: Mapping[str, Mapping[str, Path]]) -> None:
        """Put files and whole folders in place; what is there already and is the same stays untouched.

        Args:
            wanted: name to the file it is a copy of.
            folders: name of a folder to its files.

        Raises:
            InputError: if something that is not a run's stands in the way; nothing is changed then.
            MachineError: if the disk refuses.
        """
        singles = {n: source for n, source in wanted.items() if not _same(self.root / n, source)}
        whole = {n: of for n, of in folders.items() if not _same_folder(self.root / n, of)}
        self.require_ours(*singles, folders=whole)
        inside = {f"{name}/{n}": source for name, of in whole.items() for n, source in of.items()}
        new = {name: [files.digest_file(s)] for name, s in (singles | inside).items()}
        if not new:
            return
        # the marker first: a run that is killed below must know its own files again
        self._mark({name: sorted({*self._ours.get(name, ()), *of}) for name, of in new.items()})
        for name, source in singles.items():
            files.write_through(self.root / name, _copier(source))
        for name, of in whole.items():
            files.replace_folder(self.root / name, _filler(of))
        self._mark(new)

    def _mark(self, more: Mapping[str, list[str]]) -> None:
        self._ours |= more
        files.write_bytes(
            self.root / MARKER, files.pretty_json({"format": FORMAT, "files": self._ours})
        )


@contextmanager
def hold_run_folder(
    root: Path, *, wait: bool, waiting: Callable[[str], None] | None = None
) -> Iterator[RunFolder]:
    """Hold the run folder, made if it does not exist, while no other run fills it.

    Raises:
        MachineError: if another run holds it and `wait` is false, or it cannot be written.
    """
    files.make_folder(root)
    hint = "wait for it, or give another --run-dir"
    with locking.hold_lock(root / LOCK, wait=wait, waiting=waiting, hint=hint):
        files.sweep_temporaries(root)
        yield RunFolder(root)


def unfinished_keys(root: Path) -> set[str]:
    """Keys of the results that runs which never ended stand on.

    Raises:
        InputError: if the list is none.
    """
    path = root / UNFINISHED
    if not os.path.lexists(path):
        return set()
    value: Any = files.read_json(path, follow=False)
    if not isinstance(value, list) or not all(isinstance(key, str) for key in value):
        raise InputError(f"{path}: got no list of results", hint="remove it")
    return set(value)


def _read(marker: Path) -> dict[str, list[str]]:
    """By name, the digests that runs have written there; nothing if this is no run folder yet."""
    if not marker.exists():
        return {}
    value: Any = files.read_json(marker, follow=False)
    try:
        if value["format"] != FORMAT:
            raise ValueError("another format")
        return {str(name): [str(each) for each in of] for name, of in value["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{marker}: got no marker of a run folder", hint="give another --run-dir"
        ) from error


def _all_files(path: Path) -> Iterator[Path]:
    """`path` itself, or if it is a folder what lies anywhere in it; nothing if it is not there."""
    if path.is_dir() and not path.is_symlink():
        yield from (
            each for each in sorted(path.rglob("*")) if each.is_symlink() or not each.is_dir()
        )
    elif path.exists() or path.is_symlink():
        yield path


def _same(path: Path, source: Path) -> bool:
    return path.is_file() and path.read_bytes() == source.read_bytes()


def _same_folder(folder: Path, wanted: Mapping[str, Path]) -> bool:
    if not folder.is_dir() or {p.name for p in folder.iterdir()} != set(wanted):
        return False
    return all(_same(folder / name, source) for name, source in wanted.items())


def _copier(source: Path) -> Callable[[Path], object]:
    return lambda goal: shutil.copyfile(source, goal)


def _filler(wanted: Mapping[str, Path]) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        for name, source in wanted.items():
            shutil.copyfile(source, folder / name)

    return fill
