from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.data import fashion_mnist
from tests import data_example
from tests.data_example import checked


def idx(array: np.ndarray) -> bytes:
    return (
        bytes((0, 0, 8, array.ndim))
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Neither a system's data sets nor a user's cache."""
    monkeypatch.setattr(fashion_mnist, "SYSTEM", tmp_path / "system")
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path


def write(folder: Path, *, zipped: bool, count: int = 20) -> dict[str, np.ndarray]:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    arrays = {}
    for name in fashion_mnist.REMOTES:
        size = (count, 28, 28) if "images" in name else (count,)
        arrays[name] = random.integers(0, 10, size, dtype=np.uint8)
        data = idx(arrays[name])
        path = folder / (f"{name}.gz" if zipped else name)
        path.write_bytes(gzip.compress(data) if zipped else data)
    return arrays


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("inner", [".", "fashion-mnist", "FashionMNIST/raw"])
def test_the_files_are_found_below_the_data_folder(
    tmp_path: Path, inner: str, zipped: bool
) -> None:
    arrays = write(tmp_path / "mine" / inner, zipped=zipped)
    got = data_example.opened(fashion_mnist.read(data_dir=tmp_path / "mine"))
    assert got.test is not None
    for split, name in ((got.train, "train"), (got.test, "t10k")):
        assert np.array_equal(split.images[..., 0], arrays[f"{name}-images-idx3-ubyte"])
        assert np.array_equal(split.labels, arrays[f"{name}-labels-idx1-ubyte"])
    assert len(fashion_mnist.files(data_dir=tmp_path / "mine")) == 4


def test_the_systems_and_the_users_folders_are_searched(tmp_path: Path) -> None:
    write(tmp_path / "cache" / "edgekd" / "data" / "fashion-mnist", zipped=True)
    assert "cache" in str(fashion_mnist.files()[0])
    write(tmp_path / "system", zipped=True)
    assert "system" in str(fashion_mnist.files()[0])


def test_if_there_are_none_it_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(MachineError) as caught:
        fashion_mnist.files(data_dir=tmp_path / "mine")
    assert str(tmp_path / "mine" / "fashion-mnist") in str(caught.value)
    assert str(tmp_path / "system") in str(caught.value)
    assert "apt-get install dataset-fashion-mnist" in caught.value.hint
    assert "--allow-download" in caught.value.hint


def test_images_and_labels_must_be_as_many(tmp_path: Path) -> None:
    write(tmp_path / "mine", zipped=False)
    (tmp_path / "mine" / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(19, np.uint8)))
    with pytest.raises(InputError, match="t10k-labels-idx1-ubyte: got 19 labels, want 20"):
        data_example.opened(fashion_mnist.read(data_dir=tmp_path / "mine"))


def test_the_real_ones() -> None:
    real = Path("/usr/share/datasets/fashion-mnist")
    if not real.is_dir():
        pytest.skip("this machine has no Debian package dataset-fashion-mnist")
    got = checked(fashion_mnist.read(data_dir=real), "fashion-mnist")
    assert got.test is not None
    assert got.train.images.shape == (60_000, 28, 28, 1)
    assert got.test.images.shape == (10_000, 28, 28, 1)
    # The paper: 10 classes, as many images of each; the first training image is an ankle boot.
    assert np.bincount(got.train.labels).tolist() == [6000] * 10
    assert np.bincount(got.test.labels).tolist() == [1000] * 10
    assert got.classes[got.train.labels[0]] == "Ankle boot"


def test_the_sums_are_those_of_the_official_files() -> None:
    # Debian's file is the official one with another gzip header: put the old header back
    # (name, and the time 2017-08-31 10:50:27), and the known sum must come out.
    name = "t10k-labels-idx1-ubyte"
    path = Path("/usr/share/datasets/fashion-mnist") / f"{name}.gz"
    if not path.is_file():
        pytest.skip("this machine has no Debian package dataset-fashion-mnist")
    header = b"\x1f\x8b\x08\x08" + struct.pack("<I", 1504176627) + b"\0\x03" + name.encode() + b"\0"
    sum_ = hashlib.sha256(header + path.read_bytes()[10:]).hexdigest()
    assert fashion_mnist.REMOTES[name].known_hash == f"sha256:{sum_}"
