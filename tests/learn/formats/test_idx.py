from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.learn.formats import idx


def encoded(array: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    shape = array.shape if shape is None else shape
    return bytes((0, 0, 8, len(shape))) + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()


ARRAY = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_what_was_written_is_read(tmp_path: Path, pack: type[bytes]) -> None:
    path = tmp_path / "a"
    path.write_bytes(pack(encoded(ARRAY)))
    assert np.array_equal(idx.read(path), ARRAY)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gz"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encoded(ARRAY, (6, 4, 3)), "got 60 bytes, want 72"),
        (encoded(ARRAY, (4, 4, 3)), "got more bytes, want 48"),
        (encoded(ARRAY)[:-1], "got 59 bytes, want 60"),
        (encoded(ARRAY)[:9], "header that is cut short"),
        (encoded(ARRAY, (2**31, 2**31, 2**31)), "got a header of 9903520314283042199192993792"),
        (encoded(ARRAY, (2**29, 1, 1)), "got 60 bytes, want 536870912"),
        (b"\x80\x04\x95cposix\nsystem\n", "got no IDX file"),
        (bytes((0, 0, 0x0D, 3)) + bytes(200), "got no IDX file of unsigned bytes"),
        (b"", "got no IDX file"),
    ],
    ids=["short", "long", "cut", "cut-header", "2^93", "2^29", "pickle", "floats", "empty"],
)
def test_lies_are_refused(tmp_path: Path, pack: type[bytes], data: bytes, message: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(pack(data))
    with pytest.raises(InputError, match=message) as caught:
        idx.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("damage", [lambda d: d[:-9], lambda d: d[:20] + b"\xff" * 9 + d[29:]])
def test_damaged_gzip_is_refused(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "a.gz"
    assert callable(damage)
    path.write_bytes(damage(gzip.compress(encoded(ARRAY))))
    with pytest.raises(InputError, match=r"a\.gz"):
        idx.read(path)


def test_a_bomb_is_unpacked_no_further_than_its_header(tmp_path: Path) -> None:
    # 1 GiB of zeros in 1 MB, whose header admits to 60 bytes.
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(encoded(ARRAY))
        for _ in range(64):
            file.write(bytes(2**24))
    with path.open("rb") as file, gzip.GzipFile(fileobj=file) as stream:
        with pytest.raises(InputError, match="got more bytes, want 60"):
            idx._read(stream, "bomb")
        assert file.tell() < 2**18


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="no regular file"):
        idx.read(tmp_path / "pipe")
    with pytest.raises(InputError, match="No such file"):
        idx.read(tmp_path / "missing")
