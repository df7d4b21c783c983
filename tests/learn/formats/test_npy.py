from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.formats import npy


def header(text: str, version: bytes = b"\x01\x00") -> bytes:
    body = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + len(body).to_bytes(2, "little") + body


def form(shape: str, descr: str = "'|u1'") -> bytes:
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_wrote_is_read(tmp_path: Path, save: object) -> None:
    arrays = {
        "a": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        "b": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "c": np.array(["cat", "dog"]),
        "d": np.array(5),
        "e": np.zeros((0, 3), np.int16),
    }
    assert callable(save)
    save(tmp_path / "a.npz", **arrays)
    got = npy.read_npz(tmp_path / "a.npz", [*arrays, "absent"])
    assert list(got) == list(arrays)
    for name, array in arrays.items():
        assert np.array_equal(got[name], array)
        assert got[name].dtype == array.dtype


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    canary = tmp_path / "ran"
    np.savez(tmp_path / "a.npz", x=np.array([Canary(canary)], dtype=object))
    assert np.load(tmp_path / "a.npz", allow_pickle=True)["x"].shape == (1,)
    assert canary.exists(), "the trap works"
    canary.unlink()
    with pytest.raises(InputError, match="got elements of type object"):
        npy.read_npz(tmp_path / "a.npz", ["x"])
    assert not canary.exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (form("(1099511627776,)") + b"abc", "got 3 bytes, want 1099511627776"),
        (form("(2, 1099511627776, 1099511627776)"), "got 0 bytes, want 2417851639229258349412352"),
        (form("(-1,)") + b"abc", "got 3 bytes, want"),
        (form("(2,)") + b"abc", "got 3 bytes, want 2"),
        (form("(4,)") + b"abc", "got 3 bytes, want 4"),
        (form("(1,)", "[('a', '|O')]") + b"abcdefgh", "got elements of type"),
        (form("(1,)", "[('a', '<i4')]") + b"abcd", "got elements of type"),
        (form("(1,)", "('<i4', (2,))") + b"abcdefgh", "got elements of type|no readable"),
        (form("(1,)", "__import__('os').system('touch ran')") + b"a", "no readable .npz"),
        (form("'x'"), "no readable .npz"),
        (header("{'shape': (1,)}"), "no readable .npz"),
        (header("[" * 100), "no readable .npz"),
        (header("{}", b"\x03\x00"), "version"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}", "no readable .npz"),
        (b"\x80\x04cposix\nsystem\n", "no readable .npz"),
        (b"", "no readable .npz"),
    ],
)
def test_hostile_arrays_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    archive(tmp_path / "a.npz", x=data)
    with pytest.raises(InputError, match=message):
        npy.read_npz(tmp_path / "a.npz", ["x"])
    assert not (tmp_path / "ran").exists()


def whole(tmp_path: Path) -> bytes:
    np.savez_compressed(tmp_path / "whole.npz", x=np.random.default_rng(0).integers(0, 9, 9999))
    return (tmp_path / "whole.npz").read_bytes()


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(tmp_path: Path, part: float) -> None:
    data = whole(tmp_path)
    path = tmp_path / "a.npz"
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(InputError, match=r"a\.npz"):
        npy.read_npz(path, ["x"])


def test_flipped_bytes_never_pass(tmp_path: Path) -> None:
    data, random = whole(tmp_path), np.random.default_rng(0)
    want = npy.read_npz(tmp_path / "whole.npz", ["x"])["x"]
    path = tmp_path / "a.npz"
    for _ in range(200):
        damaged = bytearray(data)
        damaged[random.integers(len(data))] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        try:
            got = npy.read_npz(path, ["x"])
        except (InputError, MachineError):
            continue
        assert "x" not in got or np.array_equal(got["x"], want)


def test_a_size_that_the_directory_lies_about(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", x=form("(3,)") + b"abc")
    data = path.read_bytes()
    size = (128 + 3).to_bytes(4, "little")
    at = data.rindex(b"PK\x01\x02") + 24
    assert data[at : at + 4] == size
    path.write_bytes(data[:at] + (2**31).to_bytes(4, "little") + data[at + 4 :])
    with pytest.raises((InputError, MachineError)):
        npy.read_npz(path, ["x"])


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(InputError, match="no regular file"):
        npy.read_npz(tmp_path / "pipe.npz", ["x"])


def test_a_stream_alone() -> None:
    file = io.BytesIO()
    np.save(file, np.arange(3))
    size = file.tell()
    file.seek(0)
    assert npy.read(file, size, "here").tolist() == [0, 1, 2]


PEAK = """
import sys
from pathlib import Path
from edgekd.bench import memory
from edgekd.learn.formats import npy
import numpy, zipfile, psutil
before = memory.read_memory()["VmHWM"]
(array,) = npy.read_npz(Path(sys.argv[1]), ["a"]).values()
print(array.nbytes, memory.read_memory()["VmHWM"] - before)
"""


def test_an_array_takes_its_own_memory_and_no_second_time(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", a=np.ones((64, 2**20), np.uint8))
    run = [sys.executable, "-c", PEAK, str(tmp_path / "a.npz")]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    array_bytes, more_bytes = map(int, done.stdout.split())
    assert array_bytes == 2**26
    assert 0.9 * array_bytes < more_bytes < 1.3 * array_bytes
