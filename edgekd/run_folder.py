"""The folder a run fills for its user; what edgekd did not write there is never replaced.

A marker lists the digest of every file that runs have put there. A file, or a folder ``bundle/``, that stands
where a run wants to put its own is replaced only if each of its bytes is one of theirs; what an earlier run wrote and
this one does not have is removed, under the same condition. While a run goes on, another file lists the results it
stands on, so that what an interrupted one has done can be kept.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError
from edgekd.store import locking

FORMAT = "edgekd.run/1"
MARKER = ".edgekd-run.json"
LOCK = ".edgekd-run.lock"
UNFINISHED = ".edgekd-run.unfinished.json"
RESULT = "result.json"
DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
WITHOUT_BUNDLE = "nothing-chosen"
"""Where a run that chooses nothing reports, if the bundle of another one stands in its folder."""
Source = Path | bytes
"""A file to copy, or what is written."""


class Marker(NamedTuple):
    """What a run folder says of itself."""

    files: dict[str, list[str]]
    """By name, the digests that runs have written there."""
    running: str
    """Settings of the run that holds the folder, or was the last to; empty if none has said so."""
    filled: str = ""
    """Settings of the run that filled it last, as they were asked for; empty if that is not known."""


class RunFolder:
    """A run folder that this process holds alone; see `hold_run_folder`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ours, self._running, self._filled = read_marker(root)
        self._begun = unfinished_keys(root)
        self._named = _named_digests(root)

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
        """Note that this run stands on the result under `key`, made or not, until `end`.

        What the folder's own result names is noted there: a run that changes nothing writes next to nothing.
        """
        if key not in self._begun | self._named:
            self._begun.add(key)
            files.write_bytes(self.root / UNFINISHED, files.canonical_json(sorted(self._begun)))

    def end(self) -> None:
        """The run is finished: result.json names what it stands on."""
        self._begun.clear()
        files.remove(self.root / UNFINISHED)

    def has(self, name: str) -> bool:
        """Return whether something of that name stands here."""
        return (self.root / name).exists()

    def claim(self, settings: str) -> None:
        """Note whose folder this is while the run goes on, for others that look for one (`edgekd.run_place`)."""
        if settings != self._running:
            self._running = settings
            self._write_marker()

    def fill(
        self,
        wanted: Mapping[str, Source],
        folders: Mapping[str, Mapping[str, Path]],
        *,
        inside: str = "",
    ) -> None:
        """Put files and whole folders in place; what is there already and is the same stays untouched, what earlier
        runs wrote and is not wanted any more goes.

        Args:
            wanted: name to the file it is a copy of, or to its bytes.
            folders: name of a folder to its files.
            inside: the folder in this one that is filled, and alone is cleared; empty for all of it.

        Raises:
            InputError: if something that is not a run's stands in the way; nothing is changed then.
            MachineError: if the disk refuses.
        """
        above = f"{inside}/" if inside else ""
        every = {f"{above}{name}": source for name, source in wanted.items()}
        packed = {f"{above}{name}": of for name, of in folders.items()}
        singles = {n: source for n, source in every.items() if not _same(self.root / n, source)}
        whole = {n: of for n, of in packed.items() if not _same_folder(self.root / n, of)}
        self.require_ours(*singles, folders=whole)
        filled = {f"{name}/{n}": source for name, of in packed.items() for n, source in of.items()}
        stale = [n for n in self._ours if n.startswith(above) and n not in every.keys() | filled]
        if not singles and not whole and not stale:
            return
        new = {name: [_digest(source)] for name, source in (every | filled).items()}
        # the marker first: a run that is killed below must know its own files again
        both = {name: sorted({*self._ours.get(name, ()), *of}) for name, of in new.items()}
        self._ours |= both
        if not inside:
            self._filled = self._running
        self._write_marker()
        for name, source in singles.items():
            if isinstance(source, bytes):
                files.write_bytes(self.root / name, source)
            else:
                files.write_through(self.root / name, _copier(source))
        for name, of in whole.items():
            files.replace_folder(self.root / name, _filler(of))
        for name in stale:
            self._remove_stale(name)
        self._ours = {name: of for name, of in self._ours.items() if name not in stale} | new
        self._write_marker()

    def _remove_stale(self, name: str) -> None:
        """Remove a file that a run wrote, if it is still as it was written, and folders that are empty then."""
        path = self.root / name
        if path.is_file() and self._is_ours(path):
            files.remove(path)
        for folder in path.parents:
            if folder == self.root or not folder.is_relative_to(self.root):
                break
            with suppress(OSError):  # it is not empty
                folder.rmdir()

    def _write_marker(self) -> None:
        value: dict[str, Any] = {"format": FORMAT, "files": self._ours}
        value |= {"running": self._running} if self._running else {}
        value |= {"filled": self._filled} if self._filled else {}
        files.write_bytes(self.root / MARKER, files.pretty_json(value))


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
        for folder in {root, *((root / name).parent for name in read_marker(root).files)}:
            if folder == root or not folder.is_symlink():
                files.sweep_temporaries(folder)
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


def _named_digests(root: Path) -> set[str]:
    """All digests in the result that stands in a run folder; none where there is none."""
    try:
        return set(DIGEST.findall((root / RESULT).read_bytes().decode(errors="replace")))
    except OSError:
        return set()


def read_marker(root: Path) -> Marker:
    """The marker of a run folder; an empty one if this is none yet.

    Raises:
        InputError: if there is one that cannot be read.
    """
    path = root / MARKER
    if not path.exists():
        return Marker({}, "")
    value: Any = files.read_json(path, follow=False)
    try:
        if value["format"] != FORMAT:
            raise ValueError("another format")
        ours = {str(name): [str(each) for each in of] for name, of in value["files"].items()}
        return Marker(ours, str(value.get("running", "")), str(value.get("filled", "")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: got no marker of a run folder", hint="give another --run-dir"
        ) from error


def _all_files(path: Path) -> Iterator[Path]:
    """`path` itself, or if it is a folder what lies anywhere in it; nothing if it is not there."""
    if path.is_dir() and not path.is_symlink():
        yield from (
            each for each in sorted(path.rglob("*")) if each.is_symlink() or not each.is_dir()
        )
    elif path.exists() or path.is_symlink():
        yield path


def _digest(source: Source) -> str:
    return files.digest_bytes(source) if isinstance(source, bytes) else files.digest_file(source)


def _same(path: Path, source: Source) -> bool:
    if not path.is_file():
        return False
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    return path.stat().st_size == size and files.digest_file(path) == _digest(source)


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
