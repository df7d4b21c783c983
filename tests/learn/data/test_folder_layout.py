from __future__ import annotations

from pathlib import Path

import pytest

from edgekd.errors import InputError
from edgekd.learn.data.folder_layout import find_layout


def layout(
    root: Path, *folders: str, say: str = "auto", similar: bool = False
) -> tuple[object, ...]:
    """Splits by folder name, and classes, of a set with these folders."""
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
    got = find_layout(root, say, similar_names=similar)
    return {split: folder.name for split, folder in got.splits.items()}, got.classes


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [("train", "val", "test"), ("Train", "Validation", "Test"), ("training", "dev", "testing")],
)
def test_splits_by_any_usual_name(tmp_path: Path, train: str, validation: str, test: str) -> None:
    folders = [f"{split}/{name}" for split in (train, validation, test) for name in ("cat", "dog")]
    splits = {"train": train, "validation": validation, "test": test}
    assert layout(tmp_path, *folders) == (splits, ("cat", "dog"))


def test_folders_beside_the_splits_are_named(tmp_path: Path) -> None:
    assert layout(tmp_path, "train/cat", "train/dog", "raw/old") == (
        {"train": "train"},
        ("cat", "dog"),
    )
    sentence = find_layout(tmp_path, "auto", similar_names=False).sentence
    assert sentence == "2 classes: cat, dog; train is the train split; not read: raw"


def test_classes_alone(tmp_path: Path) -> None:
    assert layout(tmp_path, "cat", "dog") == ({"train": tmp_path.name}, ("cat", "dog"))


def test_a_class_may_be_called_as_a_split_is(tmp_path: Path) -> None:
    """Vehicles: no folder lies in `train`, and others stand beside it."""
    assert layout(tmp_path, "bus", "car", "train")[1] == ("bus", "car", "train")


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("Train", "Validation"), "without folders in them"),
        (("train", "test"), "without folders in them"),
        (("val/cat", "test/cat"), "want a folder train beside them"),
        (("train/cat", "test"), "want class folders in each"),
        (("train/cat", "training/cat"), "got folders train and training, want one"),
        (("Cat", "cat"), "got class folders 'Cat' and 'cat'"),
        (("caf\u00e9", "cafe\u0301"), "got class folders"),
        ((), "got no class folders"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(
    tmp_path: Path, folders: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        layout(tmp_path, *folders)
    assert caught.value.hint or not folders


def test_the_words_that_settle_it(tmp_path: Path) -> None:
    assert layout(tmp_path / "a", "Train", "Validation", say="classes")[1] == (
        "Train",
        "Validation",
    )
    assert layout(tmp_path / "b", "Cat", "cat", similar=True)[1] == ("Cat", "cat")
    assert layout(tmp_path / "c", "train/cat", "test", say="splits") == (
        {"train": "train", "test": "test"},
        ("cat",),
    )
    with pytest.raises(InputError, match="got no folder train"):
        layout(tmp_path / "d", "cat", say="splits")
    with pytest.raises(InputError, match="layout: got 'flat', want one of: auto, splits, classes"):
        layout(tmp_path / "e", "cat", say="flat")
