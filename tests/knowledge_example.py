"""A teacher without a network, whose answers are a function of view and sample, for tests that store them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from edgekd.learn.knowledge import filling
from edgekd.learn.knowledge.filling import Partners
from edgekd.learn.knowledge.filling import Questions
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.progress import Silent

ORIGIN = {
    "classes": ["a", "b", "c"],
    "teacher": "a" * 64,
    "views": {"count": 3},
    "data": "f" * 64,
    "arithmetic": "here",
}


class Teacher:
    """Counts what it is asked; can be made to fail, or to change its mind, at a call."""

    def __init__(self, *shapes: tuple[int, ...], fails_at: int = -1, error: Any = None) -> None:
        self.shapes, self.calls = shapes or ((5,),), 0
        self.fails_at, self.error = fails_at, error or KeyboardInterrupt()

    def ask(self, view: int, batches: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, ...]]:
        return (self.answer(view, indices) for indices in batches)

    def answer(self, view: int, indices: np.ndarray) -> tuple[np.ndarray, ...]:
        self.calls += 1
        if self.calls == self.fails_at:
            raise self.error
        return tuple(
            np.stack([draw(view, int(index), shape) for index in indices]) for shape in self.shapes
        )


def draw(view: int, index: int, shape: tuple[int, ...]) -> np.ndarray:
    generator = np.random.Generator(np.random.PCG64([view, index, len(shape)]))
    return generator.normal(0, 3, shape).astype(np.float32)


def fill(
    folder: Path,
    teacher: Teacher,
    settings: KnowledgeSettings | None = None,
    partners: Partners = filling.ALONE,
    **sizes: int,
) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    asked = {"views": 3, "samples": 11, "batch": 4, **sizes}
    questions = Questions(teacher.ask, **asked)
    settings = settings or KnowledgeSettings(encoding="fp32")
    return filling.fill_store(questions, settings, ORIGIN, folder, Silent(), partners)


def as_folder(made: dict[str, Path], folder: Path) -> Path:
    """The store under its own names."""
    folder.mkdir()
    for name, path in made.items():
        (folder / name).write_bytes(path.read_bytes())
    return folder


@contextmanager
def require_untouched(folder: Path) -> Iterator[None]:
    """Fail if anything in a folder is written, made, removed or renamed meanwhile, by the times of all that is in it: a
    superuser would not notice that the write bits are gone. Who asks whether it may be written is told that it may not."""
    everything = [folder, *folder.rglob("*")]
    modes = {path: path.stat().st_mode for path in everything}
    for path in everything:
        os.utime(path, (1e9, 1e9))
        path.chmod(modes[path] & 0o555)
    before = {path: path.stat() for path in everything}
    with mock.patch("os.access", lambda path, mode: not _is_write_in(folder, path, mode)):
        yield
    for path in everything:
        found, was = path.stat(), before[path]
        assert (found.st_mtime_ns, found.st_ctime_ns) == (was.st_mtime_ns, was.st_ctime_ns), path
        path.chmod(modes[path])
    assert [folder, *folder.rglob("*")] == everything


def _is_write_in(folder: Path, path: Path, mode: int) -> bool:
    return bool(mode & os.W_OK) and Path(path).resolve().is_relative_to(folder.resolve())
