from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.source import LabelledImages
from edgekd.learn.source import Source
from edgekd.learn.source import as_images
from edgekd.learn.source import as_labels
from edgekd.learn.source import from_arrays
from edgekd.learn.source import label_images
from edgekd.learn.source import locate
from edgekd.learn.source import need_memory
from edgekd.learn.source import need_package
from edgekd.learn.source import require_sound
from tests import data_example


def images(labels: list[int], size: tuple[int, ...] = (2, 2, 1)) -> LabelledImages:
    return LabelledImages(np.zeros((len(labels), *size), np.uint8), np.array(labels, np.int64))


def source(**other: Any) -> Source:
    """Good, but for what is said."""
    given = {
        "train": images([0, 1, 1]),
        "validation": images([1]),
        "test": images([0]),
        "classes": ("cat", "dog"),
    }
    return label_images(**{**given, **other})


def test_a_good_source_passes_unchanged() -> None:
    good = source()
    assert require_sound(good, "here") is good
    assert list(good.splits) == ["train", "validation", "test"]
    assert list(source(validation=None).splits) == ["train", "test"]


TRAIN = images([0, 1, 1])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"classes": ("cat",)}, r"here: labels: got 1 class name\(s\), want at least 2"),
        ({"classes": ("cat", "cat")}, "got the class name 'cat' twice"),
        (
            {"classes": ("cat", "dog", "eel")},
            r"labels: got no training sample of class 'eel' \(2\)",
        ),
        ({"train": images([0, 1, 2])}, "train split: got label 2, want 0 to 1"),
        ({"test": images([0, -1])}, "test split: labels: got label -1, want 0 to 1"),
        ({"validation": images([])}, "validation split: got no samples"),
        ({"train": images([])}, "train split: got no samples"),
        ({"test": images([0], (3, 2, 1))}, r"test split: images: got uint8 \[1, 3, 2, 1\], want"),
        ({"test": images([0], (2, 2))}, r"test split: images: got uint8 \[1, 2, 2\], want"),
        ({"train": images([0, 1], (2, 0, 1))}, r"images: got uint8 \[2, 2, 0, 1\], want uint8"),
        (
            {"train": TRAIN._replace(images=np.zeros((3, 2, 2, 1)))},
            r"images: got float64 \[3, 2, 2, 1\], want uint8 \[N, H, W, C\]",
        ),
        ({"train": TRAIN._replace(labels=np.zeros(3))}, "got labels float64"),
        ({"train": TRAIN._replace(labels=np.zeros(2, np.int64))}, "got 3 of images, 2 of labels"),
        ({"train": TRAIN._replace(labels=7)}, "labels: got int, want an array of rows"),
        ({"train": TRAIN._replace(labels=np.array(7))}, "want an array of rows"),
    ],
)
def test_a_bad_source_is_named(other: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        data_example.check(source(**other), "here")
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.line()


def test_splits_and_fields_have_their_names() -> None:
    good = source()
    with pytest.raises(InputError, match="here: got splits test, validation, want train"):
        splits = {name: rows for name, rows in good.splits.items() if name != "train"}
        require_sound(good._replace(splits=splits), "here")
    with pytest.raises(InputError, match="got splits dev, train"):
        splits = {"train": good.splits["train"], "dev": good.splits["test"]}
        require_sound(good._replace(splits=splits), "here")
    with pytest.raises(InputError, match="train split: got fields images, want images, labels"):
        lacking = {"train": {"images": good.splits["train"]["images"]}}
        require_sound(good._replace(splits=lacking), "here")


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
        found = data_example.opened(
            from_arrays({first: images, second: labels, "x_test": images, "y_test": labels}, "f")
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
    with pytest.raises(
        InputError, match=f"none: got nothing at {here}/none, want a file"
    ) as refused:
        locate("none", None)
    assert "from the folder you are in" in refused.value.hint
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
