from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.errors import InputError
from edgekd.learn.data import mask_folder
from edgekd.learn.source import require_sound


def put(
    root: Path, mask: np.ndarray, *, stem: str = "a", mode: str = "L", ending: str = ""
) -> None:
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", mask.shape[1::-1], (1, 2, 3)).save(root / "images" / f"{stem}.png")
    image = Image.fromarray(mask.astype(np.uint8))
    if mode == "P":
        image.putpalette([7 * value % 256 for value in range(768)])
    image.save(root / "masks" / f"{stem}{ending}.png")


def read(root: Path, **said: object) -> tuple[list, tuple[str, ...], str]:
    source = require_sound(mask_folder.read(reference=str(root), **said), "m")  # type: ignore[arg-type]
    maps = source.splits["train"]["maps"]
    assert isinstance(maps, np.ndarray) and maps.dtype == np.uint8
    return maps.tolist(), source.fields["maps"].words["names"], source.notes[0]


@pytest.mark.parametrize("values", [[0, 255], [0, 1], [0, 128]])
def test_two_values_are_background_and_foreground(tmp_path: Path, values: list[int]) -> None:
    put(tmp_path, np.array([values, values]), ending="_mask")
    maps, names, note = read(tmp_path)
    assert maps == [[[0, 1], [0, 1]]] and names == ("background", "foreground")
    assert f"told from the values 0 and {values[1]}; images with masks: 1 train" in note


@pytest.mark.parametrize("mode", ["L", "P"])
def test_numbers_are_classes_and_255_is_none(tmp_path: Path, mode: str) -> None:
    put(tmp_path, np.array([[0, 2], [255, 1]]), mode=mode)
    maps, names, _ = read(tmp_path)
    assert maps == [[[0, 2], [255, 1]]] and names == ("class 0", "class 1", "class 2")


def test_colours_are_classes_the_same_in_every_mask(tmp_path: Path) -> None:
    red, black, blue = (255, 0, 0), (0, 0, 0), (0, 0, 255)
    put(tmp_path, np.array([[red, black]]), stem="a")
    put(tmp_path, np.array([[black, black]]), stem="b")
    put(tmp_path, np.array([[blue, red]]), stem="c")
    maps, names, _ = read(tmp_path)
    assert names == ("#000000", "#0000ff", "#ff0000")
    assert maps == [[[2, 0]], [[0, 0]], [[1, 2]]]


def test_numbers_stored_as_grey_colours_are_numbers(tmp_path: Path) -> None:
    put(tmp_path, np.array([[(0, 0, 0), (2, 2, 2)], [(1, 1, 1), (1, 1, 1)]]))
    assert read(tmp_path)[0] == [[[0, 2], [1, 1]]]


def test_shades_are_classes_in_their_order(tmp_path: Path) -> None:
    put(tmp_path, np.array([[0, 85], [170, 255]]))
    maps, names, note = read(tmp_path)
    assert maps == [[[0, 1], [2, 3]]] and names[1] == "value 85" and "the shades" in note


def test_names_are_those_of_classes_txt(tmp_path: Path) -> None:
    put(tmp_path, np.array([[0, 1]]))
    (tmp_path / "classes.txt").write_text("road\nsky\ntree\n")
    assert read(tmp_path)[1] == ("road", "sky", "tree")
    (tmp_path / "classes.txt").write_text("road\n")
    with pytest.raises(InputError, match=r"classes\.txt: got 1 names, want one for each of 2"):
        read(tmp_path)


def test_a_scaled_mask_has_no_values_between(tmp_path: Path) -> None:
    put(tmp_path, np.kron(np.array([[0, 2], [2, 0]]), np.ones((8, 8))))
    maps, _, _ = read(tmp_path, size=5)
    assert np.unique(maps).tolist() == [0, 1]  # two values: the larger one is the class


def test_splits_lie_above_or_below(tmp_path: Path) -> None:
    for split in ("train", "val"):
        put(tmp_path / "above" / split, np.array([[0, 1]]))
        for name in ("images", "masks"):
            target = tmp_path / "below" / name / split
            target.mkdir(parents=True)
            (tmp_path / "above" / split / name / "a.png").rename(target / "a.png")
            Image.new("L", (2, 1), 0).save(tmp_path / "above" / split / name / "a.png")
            (tmp_path / "above" / split / name / "a.png").write_bytes(
                (target / "a.png").read_bytes()
            )
    for where in ("above", "below"):
        source = mask_folder.read(reference=str(tmp_path / where))
        assert list(source.splits) == ["train", "validation"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "masks/a.png").unlink(), "got no image with a mask of its name"),
        (
            lambda root: Image.new("L", (5, 5)).save(root / "masks/a.png"),
            "got 5 x 5 pixels, want 2 x 1",
        ),
        (lambda root: Image.new("L", (2, 1)).save(root / "masks/a.png"), "got masks of one value"),
        (lambda root: (root / "masks/a.png").write_bytes(b"x"), "a.png: got no image"),
        (
            lambda root: Image.new("L", (2, 1)).save(root / "masks/a.png", "JPEG"),
            "got a JPEG, which mixes",
        ),
        (
            lambda root: Image.new("I;16", (2, 1)).save(root / "masks/a.png"),
            "want 8 bits, a palette or RGB",
        ),
        (lambda root: (root / "gt").mkdir(), "masks, want one of masks|gt, masks"),
        (
            lambda root: (root / "masks").rename(root / "other"),
            "folders images, other, want one of masks",
        ),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, damage: object, message: str) -> None:
    put(tmp_path, np.array([[0, 1]]))
    assert callable(damage)
    damage(tmp_path)
    with pytest.raises(InputError, match=message):
        read(tmp_path)


def test_what_is_alone_is_refused_or_skipped(tmp_path: Path) -> None:
    put(tmp_path, np.array([[0, 1]]))
    Image.new("RGB", (2, 1)).save(tmp_path / "images" / "b.png")
    with pytest.raises(InputError, match=r"b\.png: got no mask in masks"):
        read(tmp_path)
    assert len(read(tmp_path, on_broken="skip")[0]) == 1
