from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekd.bench.scenario import pagecache


def resident(path: Path) -> bool | None:
    """Asked of the kernel another way: does a read that may not wait succeed at the file's start?"""
    with path.open("rb") as file:
        try:
            return bool(os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT))
        except BlockingIOError:
            return False
        except OSError:
            return None


def test_a_file_leaves_the_page_cache_or_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"x" * 2**22)
    if resident(path) is None:
        pytest.skip("this file system does not tell")
    assert resident(path)
    told = pagecache.evict(path)
    assert resident(path) is (told != "")
    assert path.read_bytes() == b"x" * 2**22


def test_what_has_nowhere_to_go_is_told() -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir():
        pytest.skip("no tmpfs here")
    path = shared / f"edgekd-{os.getpid()}"
    path.write_bytes(b"x" * 2**16)
    try:
        if resident(path) is None:
            pytest.skip("this tmpfs does not tell")
        assert "stays in the page cache" in pagecache.evict(path)
    finally:
        path.unlink()
