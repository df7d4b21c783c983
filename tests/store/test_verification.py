"""A large blob is hashed once, and again as soon as anything tells that it was written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekd import files
from edgekd.store import CreationTime
from edgekd.store import Store
from edgekd.store import StoreEntry
from edgekd.store import verification

MADE = CreationTime("2026-01-02T03:04:05Z", 1.5)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are hashed, in order."""
    found: list[Path] = []
    digest = files.digest_file

    def note(path: Path, *, follow: bool = True) -> str:
        found.append(path)
        return digest(path, follow=follow)

    monkeypatch.setattr(files, "digest_file", note)
    monkeypatch.setattr(verification, "LEAST_BYTES", 100)
    monkeypatch.setattr(verification, "SETTLED_NS", -1)
    return found


def commit(root: Path) -> tuple[Store, StoreEntry]:
    store = Store(root / "store").open()
    for name, size in {"large": 100, "small": 99}.items():
        (root / name).write_bytes(b"x" * size)
    made = {name: root / name for name in ("large", "small")}
    return store, store.commit({"stage": "test"}, made, MADE)


def test_a_large_blob_is_hashed_once_by_all_runs(tmp_path: Path, hashed: list[Path]) -> None:
    store, entry = commit(tmp_path)
    large, small = (store.blob_path(entry.files[name].sha256) for name in ("large", "small"))
    hashed.clear()
    assert store.peek(entry.key) == entry and hashed == [large, small]
    assert store.peek(entry.key) == entry and hashed == [large, small, small]
    store.save_verified()
    hashed.clear()
    assert Store(store.root).peek(entry.key) == entry and hashed == [small]
    assert Store(store.root).verify() == [] and hashed.count(large) == 1


@pytest.mark.parametrize("how", ["in place", "with its old times", "another file"])
def test_a_blob_that_was_written_is_not_believed(
    tmp_path: Path, hashed: list[Path], how: str
) -> None:
    store, entry = commit(tmp_path)
    assert store.peek(entry.key) == entry
    store.save_verified()
    path = store.blob_path(entry.files["large"].sha256)
    before = path.stat()
    if how == "another file":
        path.unlink()
    path.write_bytes(b"y" * 100)
    if how == "with its old times":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for each in (store, Store(store.root)):
        assert each.peek(entry.key) is None


def test_what_was_written_just_now_is_hashed_again(
    tmp_path: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "SETTLED_NS", 10**12)
    store, entry = commit(tmp_path)
    hashed.clear()
    for _ in range(2):
        assert store.peek(entry.key) == entry
    assert len(hashed) == 4
    store.save_verified()
    assert not (store.root / "verified.json").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1', '{"%s": 5}'])
def test_what_stands_in_the_file_is_no_faith(tmp_path: Path, hashed: list[Path], text: str) -> None:
    store, entry = commit(tmp_path)
    sha256 = entry.files["large"].sha256
    (store.root / "verified.json").write_text(text.replace("%s", sha256))
    assert Store(store.root).peek(entry.key) == entry
    assert store.blob_path(sha256) in hashed
