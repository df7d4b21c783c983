"""The store: what is committed is found whole, what is spoilt is never believed."""

from __future__ import annotations

import json
import os
import random
import shutil
import threading
from pathlib import Path

import pytest

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.store import MARKER
from edgekd.store import Blob
from edgekd.store import CreationTime
from edgekd.store import Store
from edgekd.store import StoreEntry
from edgekd.store import compute_key
from edgekd.store.manifest import make_manifest

MADE = CreationTime("2026-01-02T03:04:05Z", 1.5)
INPUTS, OTHER_INPUTS = {"stage": "test"}, {"stage": "other"}
KEY, OTHER = compute_key(INPUTS), compute_key(OTHER_INPUTS)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


def commit(store: Store, inputs: dict[str, str] = INPUTS, **contents: bytes) -> None:
    made = {}
    for name, data in contents.items():
        made[name] = store.root.parent / name
        made[name].write_bytes(data)
    store.commit(inputs, made, MADE)


def manifest(store: Store, key: str = KEY) -> Path:
    return store.root / "ac" / f"{key}.json"


def test_what_is_committed_is_found(store: Store) -> None:
    assert store.lookup(KEY) is None
    commit(store, one=b"1" * 1000, two=b"")
    entry = store.lookup(KEY)
    assert entry is not None and entry.made == MADE and entry.inputs == INPUTS
    assert store.blob_path(entry.files["one"].sha256).read_bytes() == b"1" * 1000
    assert entry.files["two"].size_bytes == 0
    assert store.verify() == []


def spoil(path: Path, how: str, rng: random.Random) -> None:
    data = path.read_bytes()
    path.unlink()
    if how == "flip":
        at = rng.randrange(len(data) * 8)
        data = bytes(b ^ (1 << at % 8 if i == at // 8 else 0) for i, b in enumerate(data))
    elif how.startswith("cut"):
        data = data[: int(len(data) * float(how[3:]))]
    elif how == "longer":
        data += b"x"
    elif how == "other":
        data = bytes(reversed(data))
    if how == "folder":
        path.mkdir()
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "symlink":
        path.symlink_to("/dev/zero")
    elif how == "twin":
        twin = path.parent.parent / "twin"
        twin.write_bytes(data)
        path.symlink_to(twin)
    elif how != "gone":
        path.write_bytes(data)


HOWS = [
    "flip",
    "cut0",
    "cut0.5",
    "cut0.99",
    "longer",
    "other",
    "folder",
    "fifo",
    "symlink",
    "twin",
    "gone",
]


@pytest.mark.parametrize("what", ["blob", "manifest"])
@pytest.mark.parametrize("how", HOWS)
def test_what_is_spoilt_is_a_miss_and_can_be_made_again(store: Store, what: str, how: str) -> None:
    rng = random.Random(f"{what}{how}")
    for _ in range(8 if how == "flip" else 1):
        commit(store, one=b"payload" * 50)
        entry = store.lookup(KEY)
        assert entry is not None
        blob = store.blob_path(entry.files["one"].sha256)
        spoil(blob if what == "blob" else manifest(store), how, rng)
        assert store.verify() or what == "manifest" and how == "gone"
        assert store.peek(KEY) is None
        assert store.lookup(KEY) is None
        assert not manifest(store).exists() and not manifest(store).is_symlink()
        commit(store, one=b"payload" * 50)
        assert store.lookup(KEY) is not None
        assert blob.read_bytes() == b"payload" * 50 and not blob.is_symlink()


@pytest.mark.parametrize("how", HOWS)
def test_what_is_put_over_a_spoilt_blob_stands_there_whole(store: Store, how: str) -> None:
    commit(store, one=b"payload" * 50)
    (blob,) = store.root.glob("cas/*/*")
    spoil(blob, how, random.Random(0))
    commit(store, OTHER_INPUTS, two=b"payload" * 50)
    assert blob.read_bytes() == b"payload" * 50 and not blob.is_symlink()
    assert store.peek(KEY) is not None and store.peek(OTHER) is not None


def test_a_manifest_under_another_key_is_not_believed(store: Store) -> None:
    commit(store, one=b"x")
    manifest(store).rename(manifest(store, OTHER))
    assert store.lookup(OTHER) is None and store.lookup(KEY) is None


def test_a_result_that_lacks_a_file_is_not_the_one_that_is_wanted(store: Store) -> None:
    commit(store, one=b"x")
    assert store.peek(KEY, {"one"}) is not None
    assert store.lookup(KEY, {"one", "two"}) is None
    assert not manifest(store).exists()


def test_a_poisoned_manifest_takes_no_sound_blob_with_it(store: Store) -> None:
    commit(store, one=b"shared")
    commit(store, OTHER_INPUTS, one=b"shared")
    entry = store.peek(OTHER)
    assert entry is not None
    wrong = entry.files["one"]._replace(size_bytes=1)
    manifest(store, OTHER).write_bytes(make_manifest(entry._replace(files={"one": wrong})))
    assert store.lookup(OTHER) is None and store.peek(KEY) is not None


def test_a_spoilt_blob_of_two_results_is_put_aside_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(store, one=b"x")
    blob = store.blob_path(files.digest_bytes(b"x"))
    blob.write_bytes(b"y")
    moved = Path.rename

    def moved_just_before(path: Path, goal: Path) -> Path:
        if path == blob:
            moved(path, goal)
        return moved(path, goal)

    monkeypatch.setattr(Path, "rename", moved_just_before)
    assert store.lookup(KEY) is None
    assert not blob.exists() and (store.root / "quarantine" / blob.name).read_bytes() == b"y"


def test_peek_changes_nothing(store: Store) -> None:
    commit(store, one=b"x")
    blob = next(store.root.glob("cas/*/*"))
    blob.write_bytes(b"y")
    before = sorted(store.root.rglob("*"))
    assert store.peek(KEY) is None
    assert sorted(store.root.rglob("*")) == before


def test_a_folder_that_is_not_a_store_s_is_never_adopted(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_text("mine")
    for ask in (Store(tmp_path).open, Store(tmp_path).require_store):
        with pytest.raises(InputError, match=r"holiday\.jpg.*want a store or an empty folder"):
            ask()
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(tmp_path)
    with pytest.raises(InputError, match="holiday"):
        Store(link).open()


def test_an_empty_folder_and_what_a_killed_open_left_become_a_store(tmp_path: Path) -> None:
    (tmp_path / f".tmp-{'0' * 32}-edgekd").write_text("half")
    store = Store(tmp_path).open()
    assert json.loads((tmp_path / MARKER).read_bytes()) == {"format": "edgekd.store/2"}
    store.sweep()
    assert not list(tmp_path.glob(".tmp-*"))
    Store(tmp_path).open()


def test_a_folder_that_another_process_makes_a_store_meanwhile_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = Path.is_file

    def made_just_after(path: Path) -> bool:
        found = looked(path)
        if path == tmp_path / MARKER and not found:
            monkeypatch.undo()
            Store(tmp_path).open()
        return found

    monkeypatch.setattr(Path, "is_file", made_just_after)
    Store(tmp_path).open()


def test_a_marker_that_another_process_sweeps_away_was_written_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = files._flush

    def swept_before(path: Path) -> None:
        if files.is_temporary(path):
            monkeypatch.undo()
            Store(tmp_path).open().sweep()
        flushed(path)

    monkeypatch.setattr(files, "_flush", swept_before)
    assert Store(tmp_path).open().is_made()
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_store_of_another_version_is_refused(store: Store) -> None:
    (store.root / MARKER).write_text('{"format": "edgekd.store/9"}')
    with pytest.raises(InputError, match="another version"):
        store.open()


@pytest.mark.parametrize("room", ["cas", "ac", "work", "locks", "quarantine"])
def test_a_room_that_leads_out_of_the_store_is_made_anew(
    store: Store, tmp_path: Path, room: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (store.root / room).rmdir()
    (store.root / room).symlink_to(outside)
    store.open()
    commit(store, one=b"x")
    with store.lock(KEY):
        store.work_folder(KEY)
        store.quarantine(KEY)
    assert list(outside.iterdir()) == []


def test_folders_inside_that_lead_out_are_made_anew(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    digest = files.digest_bytes(b"x")
    (store.root / "cas" / digest[:2]).symlink_to(outside)
    (store.root / "work" / KEY).symlink_to(outside)
    (store.work_folder(KEY) / "checkpoint").write_text("x")
    commit(store, one=b"x")
    assert list(outside.iterdir()) == [] and store.peek(KEY) is not None


def test_a_blob_in_a_folder_elsewhere_is_not_read(store: Store, tmp_path: Path) -> None:
    commit(store, one=b"x")
    (blob,) = store.root.glob("cas/*/*")
    blob.parent.rename(tmp_path / "elsewhere")
    blob.parent.symlink_to(tmp_path / "elsewhere")
    assert store.peek(KEY) is None


def test_what_does_not_verify_lies_in_quarantine_for_a_look(store: Store) -> None:
    for text in (b"y", b"z"):
        commit(store, one=b"x")
        (blob,) = store.root.glob("cas/*/*")
        blob.write_bytes(text)
        assert store.lookup(KEY) is None
        aside = store.root / "quarantine"
        assert {p.name for p in aside.iterdir()} == {f"{KEY}.json", blob.name}
        assert (aside / blob.name).read_bytes() == text and not blob.exists()


def test_a_manifest_in_a_folder_elsewhere_is_not_read(store: Store, tmp_path: Path) -> None:
    commit(store, one=b"x")
    (store.root / "ac").rename(tmp_path / "elsewhere")
    (store.root / "ac").symlink_to(tmp_path / "elsewhere")
    assert store.peek(KEY) is None and list(store.entries()) == []
    (store.root / "ac").unlink()
    (tmp_path / "elsewhere").rename(store.root / "ac")
    assert store.peek(KEY) is not None
    (store.root / "cas").rename(tmp_path / "elsewhere")
    (store.root / "cas").symlink_to(tmp_path / "elsewhere")
    assert store.peek(KEY) is None


def test_what_another_run_is_writing_is_not_swept(store: Store) -> None:
    ours = [store.root / "cas" / f".tmp-{'a' * 32}-edgekd", store.root / f".tmp-{'b' * 32}-edgekd"]
    theirs = [
        store.root / "cas" / name
        for name in (".tmp-mine", f".tmp-{'a' * 32}", f".tmp-{'a' * 32}-edgekd.txt")
    ]
    for path in (*ours, *theirs):
        path.write_text("half")
    with store.lock("store", shared=True):
        store.sweep()
    assert all(path.exists() for path in ours)
    store.sweep()
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in theirs)


def test_what_is_put_aside_replaces_what_lay_there(store: Store) -> None:
    for kind in ("folder", "file", "folder"):
        commit(store, one=b"x")
        (blob,) = store.root.glob("cas/*/*")
        blob.unlink()
        if kind == "folder":
            (blob / "inside").mkdir(parents=True)
        else:
            blob.write_bytes(b"y")
        assert store.lookup(KEY) is None
        assert (store.root / "quarantine" / blob.name / "inside").is_dir() is (kind == "folder")


def test_nothing_is_swept_outside(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    half = outside / f".tmp-{'a' * 32}-edgekd"
    half.write_text("another store's")
    (store.root / "cas" / "aa").symlink_to(outside)
    (store.root / "more").symlink_to(outside)
    store.sweep()
    assert half.exists()


def test_a_sound_blob_is_not_written_again(store: Store) -> None:
    commit(store, one=b"x")
    (blob,) = store.root.glob("cas/*/*")
    before = blob.stat()
    commit(store, OTHER_INPUTS, two=b"x")
    assert (blob.stat().st_ino, blob.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_sharers_share_and_garbage_is_not_collected_under_them(store: Store) -> None:
    with (
        store.lock("store", shared=True),
        store.lock("store", shared=True, wait=False),
        pytest.raises(MachineError, match="used by another run"),
    ):
        store.collect_garbage(set())
    assert list(store.collect_garbage(set()).paths()) == []


def test_garbage_is_what_no_kept_result_names(store: Store) -> None:
    commit(store, INPUTS, one=b"shared", two=b"alone")
    commit(store, OTHER_INPUTS, one=b"shared")
    removed = store.collect_garbage({OTHER})
    assert [path.name for path in removed.manifests] == [f"{KEY}.json"]
    assert [path.name for path in removed.blobs] == [files.digest_bytes(b"alone")]
    assert store.lookup(OTHER) is not None
    assert store.lookup(KEY) is None
    assert store.verify() == []


def test_entries_stand_in_the_order_they_were_made(store: Store) -> None:
    for number in (3, 1, 2):
        commit(store, {"stage": str(number)}, one=b"x")
        os.utime(manifest(store, compute_key({"stage": str(number)})), (number, number))
    (store.root / "ac" / "dangling.json").symlink_to("nowhere")
    assert [entry.inputs["stage"] for entry in store.entries()] == ["1", "2", "3"]


def test_two_that_put_the_same_file_leave_it_whole(store: Store) -> None:
    path = store.root.parent / "file"
    path.write_bytes(b"z" * 10**6)
    threads = [threading.Thread(target=store.put, args=(path,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (blob,) = store.root.glob("cas/*/*")
    assert blob.read_bytes() == path.read_bytes()


def test_a_folder_that_cannot_be_made_is_the_machine_s_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="file"):
        Store(tmp_path / "file" / "store").open()


def test_a_store_that_cannot_be_written_is_not_opened(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != store.root and may(path, mode))
    with pytest.raises(MachineError, match=f"{store.root}: got a folder that cannot be written"):
        store.open()


def test_a_store_that_could_not_be_marked_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(0, 0, 0))
    with pytest.raises(MachineError, match="the disk is full"):
        Store(tmp_path).open()
    assert not list(tmp_path.iterdir())


def test_a_marker_has_4096_bytes_at_most(store: Store) -> None:
    marker = store.root / MARKER
    marker.write_bytes(marker.read_bytes().ljust(4096))
    store.open()
    marker.write_bytes(marker.read_bytes().ljust(4097))
    with pytest.raises(InputError, match="got more than 4096 bytes"):
        store.open()


def test_what_a_step_kept_for_itself_goes_when_its_result_is_there(store: Store) -> None:
    for key in (KEY, OTHER):
        (store.work_folder(key) / "checkpoint").write_text("x")
    commit(store, one=b"x")
    assert [path.name for path in (store.root / "work").iterdir()] == [OTHER]
    assert (store.work_folder(OTHER) / "checkpoint").exists()


def test_what_is_no_folder_gives_way_to_one(store: Store, tmp_path: Path) -> None:
    """A file and a link to nothing, where a step's own folder is to be."""
    path = store.root / "work" / KEY
    for make in (path.touch, lambda: path.symlink_to(tmp_path / "none")):
        make()
        assert store.work_folder(KEY) == path and path.is_dir() and not path.is_symlink()
        path.rmdir()


def test_a_link_is_no_blob_though_it_is_as_long(store: Store, tmp_path: Path) -> None:
    """And leads to the very bytes, outside."""
    outside = tmp_path / "outside"
    data = b"x" * len(str(outside))
    commit(store, one=data)
    blob = store.blob_path(files.digest_bytes(data))
    blob.rename(outside)
    blob.symlink_to(outside)
    assert blob.lstat().st_size == len(data)
    assert store.verify() and store.peek(KEY) is None and store.lookup(KEY) is None
    assert not blob.is_symlink() and outside.exists()


def test_who_asks_for_a_lock_gets_it_alone_and_waits(store: Store) -> None:
    holders: list[str] = []
    got = threading.Event()

    def wait() -> None:
        with store.lock(KEY, waiting=holders.append):
            got.set()

    thread = threading.Thread(target=wait)
    with store.lock(KEY):
        thread.start()
        assert not got.wait(0.2)
    thread.join(10)
    assert got.is_set() and holders == [f"process {os.getpid()}"]


@pytest.mark.parametrize("how", ["quarantine", "put"])
def test_a_blob_is_replaced_under_its_own_lock(store: Store, tmp_path: Path, how: str) -> None:
    """Another process puts the sound bytes back just when this one has found the blob spoilt."""
    sound = b"1" * 1000
    commit(store, one=sound)
    blob = store.blob_path(files.digest_bytes(sound))
    blob.write_bytes(b"spoilt")
    source = tmp_path / "again"
    source.write_bytes(sound)
    act = (lambda: store.quarantine(KEY)) if how == "quarantine" else lambda: store.put(source)
    worker = threading.Thread(target=act)
    with store.lock(f"{blob.name}.blob"):
        worker.start()
        worker.join(0.3)
        assert worker.is_alive() and blob.read_bytes() == b"spoilt"
        blob.write_bytes(sound)
    worker.join(30)
    assert not worker.is_alive() and blob.read_bytes() == sound
    assert not (store.root / "quarantine" / blob.name).exists()


def test_a_result_whose_blob_is_called_by_its_own_key_waits_for_nobody(store: Store) -> None:
    """A poisoned manifest may say so; its key's lock is held by who puts it aside."""
    manifest(store).write_bytes(make_manifest(StoreEntry(KEY, INPUTS, {"x": Blob(KEY, 1)}, MADE)))
    with store.lock(KEY):
        worker = threading.Thread(target=store.quarantine, args=(KEY,), daemon=True)
        worker.start()
        worker.join(10)
        assert not worker.is_alive()
