from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekd import files
from edgekd.devices.ssh.board import home
from edgekd.devices.ssh.board import lease
from edgekd.errors import MachineError

DATA = b"some bytes"
DIGEST = files.digest_bytes(DATA)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    home.make_folders(tmp_path)
    return tmp_path


def test_a_file_is_taken_if_it_is_what_its_digest_says(root: Path) -> None:
    assert not home.has_blob(root, DIGEST, len(DATA))
    for pieces in ([DATA[:-1]], [DATA, b"x"], []):
        with pytest.raises(MachineError, match="came through changed"):
            home.store_blob(root, DIGEST, len(DATA), pieces)
    assert list((root / "cas").iterdir()) == []
    home.store_blob(root, DIGEST, len(DATA), [DATA[:3], DATA[3:]])
    assert home.has_blob(root, DIGEST, len(DATA))


@pytest.mark.parametrize("change", ["flip", "cut", "folder", "link"])
def test_a_file_that_is_no_longer_right_goes(root: Path, change: str) -> None:
    home.store_blob(root, DIGEST, len(DATA), [DATA])
    path = home.blob_path(root, DIGEST)
    path.unlink()
    if change == "folder":
        path.mkdir()
    elif change == "link":
        path.symlink_to(root / "nowhere")
    else:
        path.write_bytes(DATA[:-1] + b"x" if change == "flip" else DATA[:-1])
    assert not home.has_blob(root, DIGEST, len(DATA))
    assert not path.exists() and not path.is_symlink()


def test_space_is_made_from_what_was_used_longest_ago(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    for age, data in enumerate((b"a", b"b", b"c", b"d")):
        names.append(files.digest_bytes(data))
        home.store_blob(root, names[-1], 1, [data])
        os.utime(home.blob_path(root, names[-1]), (1000 + age, 1000 + age))

    class Usage:
        def __init__(self) -> None:
            self.free = 100 * (4 - len(list((root / "cas").iterdir())))

    monkeypatch.setattr(home.shutil, "disk_usage", lambda path: Usage())
    home.make_space(root, 150, {names[0]})
    assert {path.name for path in (root / "cas").iterdir()} == {names[0], names[3]}


def test_tidying_keeps_what_may_still_be_wanted(root: Path) -> None:
    for number in range(6):
        (root / "code" / str(number)).mkdir()
        os.utime(root / "code" / str(number), (number, number))
    (root / "jobs" / "fresh").mkdir()
    for name, when in (("old", 0), ("ahead", 2**40)):
        (root / "jobs" / name).mkdir()
        os.utime(root / "jobs" / name, (when, when))
    files.temporary_in(root / "cas").write_bytes(b"x")
    home.remove_leftovers(root, root / "code" / "0")
    assert {path.name for path in (root / "code").iterdir()} == {"0", "3", "4", "5"}
    assert [path.name for path in (root / "jobs").iterdir()] == ["fresh"]
    assert list((root / "cas").iterdir()) == []


def test_a_lease_goes_from_one_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    waited: list[str] = []

    def waiting(holder: str, wait_s: float) -> None:
        waited.append(holder)
        if len(waited) == 3 and first is not None:
            os.close(first)

    first = lease.acquire(path, "one", wait_s=0, waiting=waiting)
    assert first is not None and waited == []
    assert lease.acquire(path, "two", wait_s=0, waiting=waiting) is None
    second = lease.acquire(path, "two\x1b" * 200, wait_s=60, waiting=waiting)
    assert second is not None and waited == ["one"] * 3
    assert len(lease.holder_of(path)) <= lease.HOLDER_BYTES
    os.close(second)
