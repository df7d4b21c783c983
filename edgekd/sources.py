"""Which of edgekd's own files a module runs: its source, and those of all that it imports.

A result's key holds their digests, so another edgekd, or an edited one, makes its results again. What a module
imports is read from its text: ``from edgekd.x import y`` and ``import edgekd.x`` anywhere, and every string that is
a module's name (a table names its members so); a string that is a folder's name stands for all that lies in it.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path

from edgekd import files
from edgekd.errors import MachineError

PACKAGE = Path(__file__).parent
ROOT = PACKAGE.name
NOT_FOLLOWED = ("stage.py", "__init__.py")
"""One says what a stage is, the other what `import edgekd` gives; they compute nothing for a stage: what they import
does not count."""

_NAME = re.compile(rf"{ROOT}(?:\.\w+)*")
_IMPORTED = re.compile(r" import (\([^)]*\)|[^\n#]*)")


@functools.cache
def digest_sources(module: str) -> Mapping[str, str]:
    """Room of the package to the SHA-256 of those of its files that `module` runs.

    Files are read once a process: a key speaks of the code that began it.

    Args:
        module: dotted, inside edgekd; one outside of it runs nothing of edgekd's.
    """
    rooms: dict[str, dict[str, str]] = {}
    for path in sorted(reachable_files(module)):
        room = path.partition("/")[0].removesuffix(".py")
        rooms.setdefault(room, {})[path] = _digest(path)
    return {room: files.digest_bytes(files.canonical_json(of)) for room, of in rooms.items()}


def require_unchanged(module: str) -> None:
    """Raises MachineError if a file that `module` runs is not what it was when this process began."""
    then, now = _at_start(), _read()
    changed = sorted(path for path in reachable_files(module) if now.get(path) != then[path])
    if changed:
        raise MachineError(
            f"{PACKAGE / changed[0]}: changed while it was running",
            hint="run the same command again",
        )


@functools.cache
def reachable_files(module: str) -> frozenset[str]:
    """The files that `module` runs, relative to the package."""
    found: set[str] = set()
    waiting = [path for path in (_file_of(module),) if path is not None]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _needs(path)
    return frozenset(found)


@functools.cache
def _at_start() -> dict[str, bytes]:
    return _read()


def _read() -> dict[str, bytes]:
    """Every file of the package, by its path relative to it."""
    contents = {}
    for folder, _, names in os.walk(PACKAGE):
        inside = folder[len(str(PACKAGE)) + 1 :].replace(os.sep, "/")
        for name in names:
            if not name.startswith(".") and not name.endswith((".pyc", ".typed")):
                with open(f"{folder}{os.sep}{name}", "rb") as file:
                    contents[f"{inside}/{name}".removeprefix("/")] = file.read()
    return contents


@functools.cache
def _digest(path: str) -> str:
    return files.digest_bytes(_at_start()[path])


@functools.cache
def _file_of(name: str) -> str | None:
    """The file of a module or package; None if `name` is neither."""
    root, _, rest = name.partition(".")
    if root != ROOT:
        return None
    stem = rest.replace(".", "/")
    package = f"{stem}/__init__.py".removeprefix("/")
    return next((path for path in (f"{stem}.py", package) if path in _at_start()), None)


@functools.cache
def _folders() -> dict[str, list[str]]:
    """Folder to the files that lie directly in it."""
    found: dict[str, list[str]] = {}
    for path in _at_start():
        found.setdefault(path.rpartition("/")[0], []).append(path)
    return found


def _beside(path: str) -> Iterator[str]:
    """Yield what runs, or is read, with a module: its packages, and their files that are no modules."""
    folder = path.rpartition("/")[0]
    while True:
        yield from (each for each in _folders().get(folder, ()) if not each.endswith(".py"))
        initial = f"{folder}/__init__.py".removeprefix("/")
        if initial in _at_start():
            yield initial
        if not folder:
            return
        folder = folder.rpartition("/")[0]


@functools.cache
def _needs(path: str) -> frozenset[str]:
    """The files that a file imports or names in a string, and those beside it."""
    if not path.endswith(".py"):
        return frozenset()
    names = () if path in NOT_FOLLOWED else set(_names(_at_start()[path].decode()))
    return frozenset((*filter(None, map(_file_of, names)), *_beside(path)))


def _names(text: str) -> Iterator[str]:
    """Dotted names in a source that may be modules it needs."""
    for match in _NAME.finditer(text):
        name, start, end = match.group(), *match.span()
        if text[start - 5 : start] == "from ":
            yield name
            listed = _IMPORTED.match(text, end)
            yield from (
                f"{name}.{each}" for each in re.findall(r"\w+", listed[1] if listed else "")
            )
        elif text[start - 7 : start] == "import ":
            yield name
        elif text[start - 1 : start] in ("'", '"') and text[end : end + 1] in ("'", '"'):
            yield from _below(name)


def _below(name: str) -> Iterator[str]:
    """`name`, and all modules below it; the package's own name is the distribution's."""
    yield name
    inside = name.partition(".")[2].replace(".", "/")
    for folder in _folders() if inside else ():
        if f"{folder}/".startswith(f"{inside}/"):
            for path in _folders()[folder]:
                stem = path.removesuffix(".py").removesuffix("/__init__")
                yield f"{ROOT}.{stem.replace('/', '.')}"
