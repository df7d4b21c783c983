from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgekd.errors import InputError
from edgekd.learn.data import python
from tests.data_example import checked

MODULE = """
from pathlib import Path

import numpy as np

from edgekd.learn.source import LabelledImages, label_images

(Path(__file__).parent / "ran").touch()
IMAGES, LABELS = np.zeros((2, 3, 3, 1), np.uint8), np.array([0, 1])

def arrays():
    return {"x": IMAGES, "y": LABELS, "classes": ["cat", "dog"]}

def source():
    return label_images(LabelledImages(IMAGES, LABELS), None, None, ("cat", "dog"))

def broken():
    raise OSError("on\\npurpose")

def other():
    return 7
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "their_data.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "their_data", raising=False)
    return tmp_path


@pytest.mark.parametrize("name", ["arrays", "source"])
def test_both_forms_are_taken(here: Path, name: str) -> None:
    got = checked(python.read(reference=f"their_data:{name}", allow_code=True), "python")
    assert got.classes == ("cat", "dog")
    assert got.train.images.shape == (2, 3, 3, 1)


def test_nothing_runs_without_leave_or_for_the_plan(here: Path) -> None:
    for reading in (python.files, python.read):
        with pytest.raises(InputError, match="runs your code"):
            reading(reference="their_data:arrays")
    files = python.files(reference="their_data:arrays", allow_code=True)
    assert files[0] == here / "their_data.py"
    assert not (here / "ran").exists()


def test_what_goes_wrong_inside_is_told_on_one_line(here: Path) -> None:
    with pytest.raises(InputError, match="broken: raised OSError") as caught:
        python.read(reference="their_data:broken", allow_code=True)
    assert "\n" not in caught.value.line()
    with pytest.raises(InputError, match="got int, want a Source or a dict"):
        python.read(reference="their_data:other", allow_code=True)
