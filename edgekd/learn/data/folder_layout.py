"""Which folders of an image set are its splits and which its classes, told from their names."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from edgekd.errors import InputError
from edgekd.learn.source import SPLITS
from edgekd.learn.source import require_names

SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""What people call the folder of a split, in any case of letters."""
LAYOUTS = ("auto", "splits", "classes")
MOST_NAMED = 5
"""Classes that a sentence names."""


class Layout(NamedTuple):
    """The places of the class folders of each split."""

    splits: dict[str, Path]
    """The folder that holds a split's class folders, training first."""
    classes: tuple[str, ...]
    """Names of the class folders, sorted."""
    sentence: str
    """What was concluded, for the user to see."""

    def without(self, names: Collection[str]) -> Layout:
        """The same without some classes."""
        left = tuple(name for name in self.classes if name not in names)
        said = f"{len(left)} classes without {', '.join(sorted(names)[:MOST_NAMED])}"
        return self._replace(classes=left, sentence=f"{said}, of {self.sentence}")


def find_layout(root: Path, layout: str, *, similar_names: bool) -> Layout:
    """The splits and classes below `root`.

    Args:
        root: the folder of the set.
        layout: ``splits`` or ``classes`` says what the folders in `root` are; ``auto`` tells by their
            names: a folder with the name of a split that holds folders is one.
        similar_names: whether class names may differ in nothing but the case of letters.

    Raises:
        InputError: if the names can be read in two ways or cannot be shown, or there is no class.
    """
    if layout not in LAYOUTS:
        raise InputError(f"layout: got {layout!r}, want one of: {', '.join(LAYOUTS)}")
    names = folder_names(root)
    splits = _name_splits(root, names) if layout != "classes" else {}
    if layout == "auto" and splits:
        splits = _settle(root, names, splits)
    if layout == "splits" and "train" not in splits:
        raise InputError(f"{root}: got no folder train, want one with the training images")
    holders = {split: root / splits[split] for split in SPLITS if split in splits}
    holders = holders or {"train": root}
    classes = tuple(folder_names(holders["train"]))
    if not classes:
        raise InputError(f"{holders['train']}: got no class folders, want one a class")
    require_names(classes, holders["train"])
    if not similar_names:
        _require_unlike(classes, holders["train"])
    return Layout(holders, classes, _describe(root, holders, classes, names))


def folder_names(folder: Path) -> list[str]:
    """Names of the folders in `folder` that are not hidden, nor left by a packer (``__MACOSX``), sorted.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if e.is_dir() and not e.name.startswith((".", "__"))]
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}, want a folder") from error
    return sorted(names)


def _name_splits(root: Path, names: list[str]) -> dict[str, str]:
    """Folder name by split, for the names that are a split's."""
    splits: dict[str, str] = {}
    for split, usual in SPLIT_NAMES.items():
        matching = [name for name in names if name.casefold() in usual]
        if len(matching) > 1:
            raise InputError(
                f"{root}: got folders {' and '.join(matching)}, want one for the {split} split",
                hint="layout: classes takes each folder for a class",
            )
        if matching:
            splits[split] = matching[0]
    return splits


def _settle(root: Path, names: list[str], splits: dict[str, str]) -> dict[str, str]:
    """`splits` if they are splits, none if they are classes."""
    deep = [name for name in splits.values() if folder_names(root / name)]
    if "train" in splits and len(deep) == len(splits):
        return splits
    if not deep and len(splits) < len(names):
        return {}
    got = f"{root}: got folders {', '.join(splits.values())}"
    if not deep:
        raise InputError(
            f"{got} without folders in them, want class folders in each",
            hint="layout: classes takes them for the classes",
        )
    want = "a folder train beside them" if "train" not in splits else "class folders in each"
    raise InputError(
        f"{got}, want {want}", hint="layout: splits or layout: classes says what they are"
    )


def _require_unlike(classes: tuple[str, ...], where: Path) -> None:
    by_form: dict[str, str] = {}
    for name in classes:
        form = unicodedata.normalize("NFC", name).casefold()
        if form in by_form:
            raise InputError(
                f"{where}: got class folders {by_form[form]!r} and {name!r}, want one of them",
                hint="similar_names: true takes them for two classes",
            )
        by_form[form] = name


def _describe(
    root: Path, holders: dict[str, Path], classes: tuple[str, ...], names: list[str]
) -> str:
    named = ", ".join(classes[:MOST_NAMED]) + (", ..." if len(classes) > MOST_NAMED else "")
    sentence = f"{len(classes)} classes: {named}"
    if holders["train"] == root:
        return f"{sentence}; no folders for splits"
    parts = [f"{folder.name} is the {split} split" for split, folder in holders.items()]
    left_out = sorted(set(names) - {folder.name for folder in holders.values()})
    ignored = f"; not read: {', '.join(left_out[:MOST_NAMED])}" if left_out else ""
    return f"{sentence}; {', '.join(parts)}{ignored}"
