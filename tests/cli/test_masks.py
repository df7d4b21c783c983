"""Maps of classes as PNG files that a folder of masks may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekd.bundle.predict import Prediction
from edgekd.cli.masks import write_masks
from edgekd.errors import InputError


def answer(name: str, **decisions: np.ndarray) -> Prediction:
    return Prediction(name, "", (), decisions)


def test_every_pixel_holds_the_number_of_its_class(tmp_path: Path) -> None:
    maps = np.random.default_rng(0).integers(0, 5, (2, 120, 7))
    told = [answer("photos/a.b.png", map=maps[0]), answer("x/two.npy[1]", map=maps[1])]
    goals = write_masks(told, tmp_path / "new")
    assert [goal.name for goal in goals] == ["a.b.png", "two-1.png"]
    for goal, want in zip(goals, maps, strict=True):
        with Image.open(goal) as image:
            assert image.mode == "L" and np.array_equal(np.asarray(image), want)
    with pytest.raises(InputError, match="a.b.png: exists already"):
        write_masks(told, tmp_path / "new")
    goals[0].write_text("old")
    assert write_masks(told, tmp_path / "new", replace=True) == goals
    assert goals[0].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ([answer("a", labels=np.zeros((), np.int64))], "no classes of pixels"),
        ([answer("a", map=np.zeros((2, 2), np.float32))], "no classes of pixels"),
        ([answer("a", map=np.full((2, 2), 256))], "got class 256, want 0 to 255"),
        ([answer("x/a.png", map=np.zeros((2, 2), int))] * 2, "two inputs called 'a'"),
    ],
)
def test_what_is_no_mask_is_refused_before_anything_is_written(
    tmp_path: Path, told: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        write_masks(told, tmp_path / "new")
    assert not (tmp_path / "new").exists()
