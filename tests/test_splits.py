"""A split as one file: other readers of safetensors agree, and no file of a stranger does harm."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from edgekd import field
from edgekd import splits
from edgekd.errors import InputError
from edgekd.errors import MachineError

disk_usage = type(shutil.disk_usage("/"))
IMAGES = np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2, 1)
LABELS = np.array([0, 1, 0, 1, 1])
TEXTS = field.from_rows(
    [np.arange(n, dtype=np.int32) for n in (3, 0, 1, 2, 5)], np.zeros(0, np.int32)
)
ORDER = np.array([4, 0, 1])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    goal = tmp_path / "train"
    splits.write(goal, {"images": IMAGES, "labels": LABELS, "texts": TEXTS}, ORDER)
    return goal


def test_rows_come_back_in_the_order_that_was_asked_for(path: Path) -> None:
    rows = splits.read(path)
    assert (np.asarray(rows["images"]) == IMAGES[ORDER]).all()
    assert np.asarray(rows["labels"]).tolist() == [1, 0, 1]
    assert [row.tolist() for row in rows["texts"]] == [[0, 1, 2, 3, 4], [0, 1, 2], []]


def test_a_disk_without_room_is_told_before_a_byte_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"images": IMAGES, "labels": LABELS, "texts": TEXTS}
    need = 3 * 4 + 3 * 8 + (5 + 3 + 0) * 4 + 4 * 8  # images, labels, texts and their offsets
    for free, has_room in ((need - 1, False), (need, True)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: disk_usage(0, 0, free))
        if has_room:
            splits.write(tmp_path / "train", rows, ORDER)
            break
        with pytest.raises(MachineError, match=f"got {free} B free, want {need} B for the samples"):
            splits.write(tmp_path / "train", rows, ORDER)
        assert not list(tmp_path.iterdir())


def test_the_library_reads_the_same(path: Path) -> None:
    arrays = load_file(path)
    assert (arrays["images"] == IMAGES[ORDER]).all()
    assert arrays["texts.offsets"].tolist() == [0, 5, 8, 8]


def test_the_same_rows_are_the_same_bytes_and_aligned(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    splits.write(other, {"texts": TEXTS, "labels": LABELS, "images": IMAGES}, ORDER)
    assert other.read_bytes() == path.read_bytes()
    assert np.asarray(splits.read(path)["labels"]).ctypes.data % 8 == 0


def header(**parts: Any) -> bytes:
    text = json.dumps(parts).encode()
    return len(text).to_bytes(8, "little") + text


def part(shape: list[int], start: int, stop: int, dtype: str = "U8") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        (2**40).to_bytes(8, "little"),
        (2).to_bytes(8, "little") + b"[]",
        (200_000).to_bytes(8, "little") + b"[" * 200_000,
        (2).to_bytes(8, "little") + b"{}",
        header(x=part([4], 0, 4)) + b"abc",
        header(x=part([4], 0, 3)) + b"abcd",
        header(x=part([-1], 0, -1)),
        header(x=part([2**62, 2**62], 0, 4)) + b"abcd",
        header(x=part([4], 0, 4, "OBJ")) + b"abcd",
        header(x=[1, 2]),
        header(x=part([4], 0, 4), y=part([3], 0, 3)) + b"abcd",
        header(x=part([4], 0, 4), **{"x.offsets": part([2], 4, 20, "I64")})
        + b"abcd"
        + b"\x01" * 16,
    ],
)
def test_what_is_no_split_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "train"
    path.write_bytes(data)
    with pytest.raises(InputError, match="want a split"):
        splits.read(path)


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "none", "."):
        with pytest.raises(InputError):
            splits.read(tmp_path / name)
