"""What a collection removes, beside things that only look like a store's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekd import files
from edgekd.store import CreationTime
from edgekd.store import Store
from edgekd.store import compute_key
from edgekd.store import garbage

MADE = CreationTime("2026-01-02T03:04:05Z", 1.5)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


def test_only_what_a_store_writes_is_found(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x" * 100)
    kept = store.commit({"stage": "kept"}, {"a": path}, MADE)
    digest = files.digest_bytes(b"x" * 100)
    outside = tmp_path / "photos"
    outside.mkdir()
    (outside / ("a" * 64)).write_text("mine")
    theirs = [
        store.root / "notes.txt",
        store.root / "ac" / "readme.json",
        store.root / "cas" / "a.txt",
        store.root / "cas" / digest[:2] / "note",
        store.root / "cas" / digest[:2] / ("0" * 64),  # beside the folder it belongs in
        store.root / "work" / "thesis",
        store.root / "quarantine" / "thesis.json",
    ]
    for path in theirs:
        path.write_text("mine")
    (store.root / "cas" / "aa").symlink_to(outside)
    (store.root / "cas" / "bb").mkdir()
    blob = store.root / "cas" / "bb" / ("b" * 64)
    blob.write_bytes(b"12345")
    spoilt = store.root / "ac" / ("c" * 64 + ".json")
    spoilt.write_bytes(b"1234567")
    work = store.root / "work" / ("d" * 64)
    (work / "checkpoints").mkdir(parents=True)
    (work / "checkpoints" / "1.safetensors").write_bytes(b"123")
    aside = [store.root / "quarantine" / name for name in ("e" * 64, "f" * 64 + ".json")]
    for path in aside:
        path.write_bytes(b"1")
    lock = store.root / "locks" / ("d" * 64)
    lock.touch()
    found = store.garbage({kept.key})
    assert found == garbage.Garbage([spoilt], [blob], [work], aside, 5 + 7 + 3 + 2)
    assert store.collect_garbage({kept.key}) == found
    assert all(path.exists() for path in theirs) and (outside / ("a" * 64)).exists()
    assert not any(p.exists() for p in (blob, spoilt, work, lock, *aside))
    assert store.peek(kept.key) == kept


def test_manifests_go_before_what_they_name(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x")
    entry = store.commit({"stage": "gone"}, {"a": path}, MADE)
    paths = list(store.garbage(set()).paths())
    assert [p.name for p in paths] == [f"{entry.key}.json", files.digest_bytes(b"x")]
    assert store.garbage({compute_key({"stage": "gone"})}).manifests == []


def test_what_another_run_removes_meanwhile_takes_no_room(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x" * 100)
    store.commit({"stage": "made"}, {"a": path}, MADE)
    work = store.root / "work" / ("d" * 64)
    work.mkdir()
    (work / "1.safetensors").write_bytes(b"123")
    looked = Path.lstat

    def removed_just_before(path: Path) -> os.stat_result:
        if path.name == "1.safetensors" or path.parent.name == "ac":
            path.unlink(missing_ok=True)
        return looked(path)

    monkeypatch.setattr(Path, "lstat", removed_just_before)
    assert store.garbage({compute_key({"stage": "made"})}).size_bytes == 0
    assert list(store.entries()) == []


def test_what_leads_out_weighs_what_a_link_does_and_goes_alone(
    store: Store, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "photo").write_bytes(b"x" * 1000)
    link = store.root / "work" / ("d" * 64)
    link.symlink_to(outside)
    (store.root / "cas").rmdir()
    found = store.collect_garbage(set())
    assert (found.checkpoints, found.size_bytes) == ([link], len(str(outside)))
    assert not link.is_symlink() and (outside / "photo").exists()


def test_a_spoilt_manifest_goes_once_and_spoils_no_other(store: Store, tmp_path: Path) -> None:
    """Whatever is read before it: nothing, a result that stays, or one that goes."""
    path = tmp_path / "x"
    path.write_bytes(b"x")
    keys = sorted(store.commit({"stage": str(n)}, {"a": path}, MADE).key for n in range(2))
    after = [f"{int(key, 16) + 1:064x}" for key in keys]
    spoilt = [store.root / "ac" / f"{key}.json" for key in ("0" * 64, *after)]
    for path in spoilt:
        path.write_bytes(b"spoilt")
    gone = store.root / "ac" / f"{keys[1]}.json"
    assert store.garbage({keys[0]}).manifests == sorted([*spoilt, gone])
