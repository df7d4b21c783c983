"""The store: what is committed is found whole, what is spoilt is never believed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edgekd.errors import MachineError
from edgekd.store import Store

KEY, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


def commit(store: Store, key: str = KEY, **contents: bytes) -> None:
    made = {}
    for name, data in contents.items():
        made[name] = store.root.parent / name
        made[name].write_bytes(data)
    store.commit(key, {"stage": "test"}, made)


def test_what_is_committed_is_found(store: Store) -> None:
    assert store.lookup(KEY) is None
    commit(store, one=b"1" * 1000, two=b"")
    entry = store.lookup(KEY)
    assert entry is not None
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
    if how == "folder":
        path.mkdir()
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "symlink":
        path.symlink_to("/dev/zero")
    elif how != "gone":
        path.write_bytes(data)


@pytest.mark.parametrize("what", ["blob", "manifest"])
@pytest.mark.parametrize(
    "how", ["flip", "cut0", "cut0.5", "cut0.99", "longer", "folder", "fifo", "symlink", "gone"]
)
def test_what_is_spoilt_is_a_miss_and_can_be_made_again(store: Store, what: str, how: str) -> None:
    rng = random.Random(f"{what}{how}")
    for _ in range(8 if how == "flip" else 1):
        commit(store, one=b"payload" * 50)
        entry = store.lookup(KEY)
        assert entry is not None
        blob = store.blob_path(entry.files["one"].sha256)
        spoil(blob if what == "blob" else store.root / "ac" / f"{KEY}.json", how, rng)
        found = store.lookup(KEY)
        assert found is None or (what == "manifest" and found == entry)
        commit(store, one=b"payload" * 50)
        assert store.lookup(KEY) is not None


def test_a_manifest_under_another_key_is_not_believed(store: Store) -> None:
    commit(store, one=b"x")
    (store.root / "ac" / f"{KEY}.json").rename(store.root / "ac" / f"{OTHER}.json")
    assert store.lookup(OTHER) is None


def test_a_manifest_cannot_name_a_path(store: Store) -> None:
    commit(store, one=b"x")
    path = store.root / "ac" / f"{KEY}.json"
    entry = store.lookup(KEY)
    assert entry is not None
    path.write_text(path.read_text().replace(entry.files["one"].sha256, "../../../etc/passwd"))
    assert store.lookup(KEY) is None


def test_peek_changes_nothing(store: Store) -> None:
    commit(store, one=b"x")
    blob = next(store.root.glob("cas/*/*"))
    blob.write_bytes(b"y")
    before = sorted(store.root.rglob("*"))
    assert store.peek(KEY) is None
    assert sorted(store.root.rglob("*")) == before


def test_a_second_holder_waits_and_the_kernel_frees_a_dead_one_s_lock(store: Store) -> None:
    code = (
        "import sys,time,pathlib\nfrom edgekd.store import Store\n"
        f"with Store(pathlib.Path({str(store.root)!r})).lock({KEY!r}):\n"
        " print('held',flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(MachineError, match=f"process {holder.pid}"), store.lock(KEY, wait=False):
        pass
    heard: list[str] = []
    threading.Timer(0.3, holder.kill).start()
    start = time.monotonic()
    with store.lock(KEY, waiting=heard.append):
        assert 0.2 < time.monotonic() - start < 10
    assert heard == [f"process {holder.pid}"]
    holder.wait()
    holder.stdout.close()


def test_sharers_share_and_garbage_is_not_collected_under_them(store: Store) -> None:
    with (
        store.lock("store", shared=True),
        store.lock("store", shared=True, wait=False),
        pytest.raises(MachineError, match="used by another run"),
    ):
        store.collect_garbage(set())
    assert store.collect_garbage(set()) == (0, 0)


def test_garbage_is_what_no_kept_result_names(store: Store) -> None:
    commit(store, KEY, one=b"shared", two=b"alone")
    commit(store, OTHER, one=b"shared")
    removed, freed_bytes = store.collect_garbage({OTHER})
    assert (removed, freed_bytes) == (1, 5)
    assert store.lookup(OTHER) is not None
    assert store.lookup(KEY) is None
    assert store.verify() == []


def test_a_folder_that_cannot_be_made_is_the_machine_s_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="file"):
        Store(tmp_path / "file" / "store").open()
