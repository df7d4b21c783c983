"""What a stage made in the store is not written twice; what lies elsewhere stays apart from its blob."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edgekd.store import CreationTime
from edgekd.store import Store
from edgekd.store import linking

MADE = CreationTime("2026-01-02T03:04:05Z", 1.5)
KEY = "a" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


def make(folder: Path, data: bytes = b"rows" * 100, mode: int = 0o644) -> Path:
    path = folder / "made.rows"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_what_a_stage_made_becomes_the_blob_itself(store: Store) -> None:
    path = make(store.work_folder(KEY), mode=0o600)
    blob = store.blob_path(store.put(path).sha256)
    assert blob.samefile(path) and blob.stat().st_mode & 0o777 == 0o666 & ~_umask()
    path.unlink()
    assert blob.read_bytes() == b"rows" * 100 and store.verify() == []


def test_a_commit_leaves_one_name_and_the_blob_sound(store: Store) -> None:
    path = make(store.work_folder(KEY))
    entry = store.commit({"stage": "test"}, {"a": path, "b": path}, MADE)
    assert store.peek(entry.key) == entry
    assert store.blob_path(entry.files["a"].sha256).read_bytes() == b"rows" * 100


@pytest.mark.parametrize("where", ["elsewhere", "a link", "two names"])
def test_what_somebody_else_may_change_is_copied(store: Store, tmp_path: Path, where: str) -> None:
    path = make(tmp_path)
    if where == "a link":
        link = store.work_folder(KEY) / "link"
        link.symlink_to(path)
        path = link
    elif where == "two names":
        other = store.work_folder(KEY) / "other"
        os.link(path, other)
        path = other
    blob = store.blob_path(store.put(path).sha256)
    make(tmp_path, b"changed")
    assert blob.read_bytes() == b"rows" * 100 and not blob.is_symlink()


def test_where_links_are_refused_bytes_are_copied(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(linking.os, "link", refuse)
    path = make(store.work_folder(KEY))
    blob = store.blob_path(store.put(path).sha256)
    assert not blob.samefile(path) and blob.read_bytes() == path.read_bytes()


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now
