"""Pictures without labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.errors import InputError
from edgekd.learn.data import images
from edgekd.learn.formats.encoded_images import EncodedImages


def draw(path: Path, width: int = 9) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((7, width, 3), 40, np.uint8)).save(path)


def test_pictures_of_any_size_are_taken_from_anywhere_below(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    draw(tmp_path / "deep" / "er" / "b.jpg", 12)
    (tmp_path / "notes.txt").touch()
    found = images.read(reference=str(tmp_path), size=6)
    assert found.splits["train"]["images"].shape == (2, 6, 6, 3)  # type: ignore[union-attr]
    kept = images.read(reference=str(tmp_path), size=6, stored="encoded").splits["train"]["images"]
    assert isinstance(kept, EncodedImages)
    assert np.array_equal(kept[:], np.asarray(found.splits["train"]["images"]))
    assert found.notes == ("2 images without labels; 1 other file passed over: notes.txt",)


def test_none_and_a_broken_one_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images"):
        images.read(reference=str(tmp_path))
    draw(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"b\.png"):
        images.read(reference=str(tmp_path))
    assert len(images.read(reference=str(tmp_path), on_broken="skip").skipped) == 1
