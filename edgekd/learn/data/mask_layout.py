"""Where a set of images and masks keeps each: told from the names of its folders and files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edgekd.errors import InputError
from edgekd.learn.data.columns import name_split
from edgekd.learn.data.folder_contents import LEFT_BY_SYSTEMS
from edgekd.learn.data.folder_layout import folder_names
from edgekd.learn.formats.image import SUFFIXES
from edgekd.learn.source import SPLITS

IMAGES = ("images", "image", "imgs", "img", "jpegimages", "photos", "inputs", "x")
MASKS = (
    *("masks", "mask", "labels", "label", "annotations", "segmentationclass", "segmentation"),
    *("gt", "ground_truth", "groundtruth", "targets", "labelmaps", "y"),
)
ENDINGS = ("", "_mask", "_seg", "_label", "_labels", "_gt", "-mask", "_segmentation", "_L")
"""What a mask's name may have behind its image's."""


class MaskLayout(NamedTuple):
    """The folders of images and masks of each split, training first."""

    splits: dict[str, tuple[Path, Path]]
    has_splits: bool
    """Whether the folders say them."""


def find_mask_layout(root: Path, images: str | None = None, masks: str | None = None) -> MaskLayout:
    """The folders of images and masks below `root`.

    Args:
        root: ``images/`` and ``masks/`` lie in it, or in each of ``train/``, ``val/`` and ``test/``, or hold those.
        images: name of the folder of images; None to tell by its name.
        masks: name of the folder of masks; None to tell by its name.

    Raises:
        InputError: if one is missing, or several could be it.
    """
    names = folder_names(root)
    tops = {split: root / name for name in names if (split := name_split(name)) is not None}
    if "train" in tops:
        pairs = {split: _pair(top, images, masks) for split, top in tops.items()}
        return MaskLayout({split: pairs[split] for split in SPLITS if split in pairs}, True)
    of_images, of_masks = _pair(root, images, masks)
    inner = {split: name for name in folder_names(of_images) if (split := name_split(name))}
    if "train" not in inner:
        return MaskLayout({"train": (of_images, of_masks)}, False)
    splits: dict[str, tuple[Path, Path]] = {}
    for split in SPLITS:
        if split in inner:
            beside = of_masks / inner[split]
            if not beside.is_dir():
                raise InputError(
                    f"{beside}: got nothing there, want the masks of the {split} split"
                )
            splits[split] = of_images / inner[split], beside
    return MaskLayout(splits, True)


def _pair(folder: Path, images: str | None, masks: str | None) -> tuple[Path, Path]:
    return _find(folder, "images", images, IMAGES), _find(folder, "masks", masks, MASKS)


def _find(folder: Path, role: str, said: str | None, usual: tuple[str, ...]) -> Path:
    names = folder_names(folder)
    found = [name for name in names if (name == said if said else name.casefold() in usual)]
    if len(found) != 1:
        got = f"folders {', '.join(names[:8]) or 'none'}"
        want = f"{said!r}" if said else f"one of {role}"
        raise InputError(
            f"{folder}: got {got}, want {want}",
            hint=f"{role}: NAME, beside the source's name, says which folder",
        )
    return folder / found[0]


def list_pairs(images: Path, masks: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Images with their masks by name, sorted; and what has no partner, each with the reason.

    Raises:
        InputError: if there are no pairs, or two masks of one image.
    """
    by_stem: dict[str, Path] = {}
    for path in _list_images(masks):
        if path.stem in by_stem:
            raise InputError(
                f"{path}: got a second mask beside {by_stem[path.stem].name}, want one"
            )
        by_stem[path.stem] = path
    pairs: list[tuple[Path, Path]] = []
    alone: list[str] = []
    for path in _list_images(images):
        stem = next((path.stem + end for end in ENDINGS if path.stem + end in by_stem), None)
        if stem is None:
            alone.append(f"{path}: got no mask in {masks.name}")
        else:
            pairs.append((path, by_stem.pop(stem)))
    alone += [f"{path}: got no image in {images.name}" for path in by_stem.values()]
    if not pairs:
        raise InputError(
            f"{images}: got no image with a mask of its name in {masks.name}, want some"
        )
    return pairs, alone


def list_others(layout: MaskLayout) -> list[Path]:
    """Files beside the images and masks that are neither, sorted."""
    folders = [folder for pair in layout.splits.values() for folder in pair]
    return [path for folder in folders for path in _list_files(folder) if not _is_image(path)]


def _list_images(folder: Path) -> list[Path]:
    return [path for path in _list_files(folder) if _is_image(path)]


def _list_files(folder: Path) -> list[Path]:
    names = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(
        path for path in names if path.name.lower() not in LEFT_BY_SYSTEMS and not path.is_dir()
    )


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES
