from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.source import Source
from edgekd.learn.source import Split
from edgekd.learn.source import as_images
from edgekd.learn.source import as_labels
from edgekd.learn.source import checked
from edgekd.learn.source import from_arrays
from edgekd.learn.source import locate
from edgekd.learn.source import need_memory
from edgekd.learn.source import need_package


def split(labels: list[int], size: tuple[int, ...] = (2, 2, 1)) -> Split:
    return Split(np.zeros((len(labels), *size), np.uint8), np.array(labels, np.int64))


GOOD = Source(split([0, 1, 1]), split([1]), split([0]), ("cat", "dog"))


def test_a_good_source_passes_unchanged() -> None:
    assert checked(GOOD, "here") is GOOD
    assert list(GOOD.splits()) == ["train", "validation", "test"]
    assert list(GOOD._replace(validation=None).splits()) == ["train", "test"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (GOOD._replace(classes=("cat",)), "here: got 1 class"),
        (GOOD._replace(classes=("cat", "cat")), "got the class name 'cat' twice"),
        (
            GOOD._replace(classes=("cat", "dog", "eel")),
            r"train split: got no sample of class 'eel'",
        ),
        (GOOD._replace(train=split([0, 1, 2])), "train split: got label 2, want 0 to 1"),
        (GOOD._replace(test=split([0, -1])), "test split: got label -1, want 0 to 1"),
        (GOOD._replace(validation=split([])), "validation split: got no samples"),
        (GOOD._replace(train=split([])), "train split: got no samples"),
        (GOOD._replace(test=split([0], (3, 2, 1))), r"test split: got images \(3, 2, 1\), want"),
        (GOOD._replace(test=split([0], (2, 2))), r"test split: got uint8 \[1, 2, 2\], want"),
        (GOOD._replace(train=split([0, 1], (2, 0, 1))), r"got uint8 \[2, 2, 0, 1\], want"),
        (
            GOOD._replace(train=GOOD.train._replace(images=np.zeros((3, 2, 2, 1)))),
            r"got float64 \[3, 2, 2, 1\], want uint8 \[N, H, W, C\]",
        ),
        (
            GOOD._replace(train=GOOD.train._replace(labels=np.zeros(3))),
            "got labels float64",
        ),
        (
            GOOD._replace(train=GOOD.train._replace(labels=np.zeros(2, np.int64))),
            r"got labels int64 \[2\], want int64 \[3\]",
        ),
    ],
)
def test_a_bad_source_is_named(bad: Source, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        checked(bad, "here")
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.line()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([0.0, np.nan]), "NaN"),
        (np.array([0.0, 1.0]), "type float64"),
        (np.array(["a"]), "type <U1"),
        (np.eye(3, dtype=np.int64), r"labels \[3, 3\]"),
        (np.array([2**64 - 1], np.uint64), "got label 18446744073709551615"),
    ],
)
def test_labels_are_whole_numbers(array: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_labels(array, "here")


def test_labels_may_be_any_whole_type_and_a_column() -> None:
    got = as_labels(np.array([[3], [1]], np.uint8), "here")
    assert got.dtype == np.int64
    assert got.tolist() == [3, 1]


def test_images_are_bytes() -> None:
    assert as_images(np.zeros((2, 3, 4), np.uint8), "here").shape == (2, 3, 4, 1)
    with pytest.raises(InputError, match=r"float32 \[2, 3, 4\], want uint8"):
        as_images(np.zeros((2, 3, 4), np.float32), "here")


def test_arrays_are_found_by_their_usual_names() -> None:
    images, labels = np.zeros((2, 4, 4), np.uint8), np.array([0, 1])
    for first, second in (("x", "y"), ("x_train", "y_train"), ("train_images", "train_labels")):
        found = from_arrays(
            {first: images, second: labels, "x_test": images, "y_test": labels}, "f"
        )
        assert found.train.images.shape == (2, 4, 4, 1)
        assert found.test is not None
        assert found.validation is None
        assert found.classes == ("0", "1")
    with pytest.raises(InputError, match="got no array train_labels or y_train"):
        from_arrays({"x": images}, "f")
    with pytest.raises(InputError, match="got label 1000000"):
        from_arrays({"x": images, "y": np.array([0, 10**6])}, "f")


def test_a_path_is_looked_for_in_the_data_folder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "a.npz").touch()
    assert locate("a.npz", Path("sets")) == Path("sets/a.npz")
    assert locate("sets/a.npz", None) == Path("sets/a.npz")
    here = re.escape(str(tmp_path))
    with pytest.raises(
        InputError, match=f"b.npz: got nothing at {here}/b.npz or {here}/sets/b.npz,"
    ):
        locate("b.npz", Path("sets"))
    with pytest.raises(InputError, match=f"none: got nothing at {here}/none, want a file"):
        locate("none", None)
    with pytest.raises(InputError, match=f"{here}/b: got nothing there, want a file"):
        locate(str(tmp_path / "b"), Path("sets"))


def test_what_the_machine_lacks_is_its_own_error() -> None:
    need_memory(1, "here")
    with pytest.raises(MachineError, match="here: got "):
        need_memory(2**80, "here")
    need_package("numpy", "learn", "here")
    with pytest.raises(MachineError) as caught:
        need_package("no_such_package", "hub", "here")
    assert caught.value.hint == "pip install 'edgekd[hub]'"
