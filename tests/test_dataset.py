"""data.json: back as it was, and nothing from a stranger that is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd import dataset
from edgekd.errors import InputError
from edgekd.fields.image import Image
from edgekd.fields.label import Label


def digits() -> dataset.Dataset:
    return dataset.Dataset(
        task="classification",
        inputs={"images": Image(height=2, width=2, channels=1, mean=(0.5,), std=(0.5,))},
        targets={"labels": Label(names=("a", "b", "c"))},
        counts={"train": 5},
        source="npz:x.npz",
    )


def test_json_gives_it_back(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text(json.dumps(dataset.to_json(digits())))
    assert dataset.read(path) == digits()


def test_sizes_and_arrays_come_by_name() -> None:
    rows = {"images": np.zeros((3, 2, 2, 1), np.uint8), "labels": np.array([2, 0, 1])}
    assert digits().sizes() == {"channels": 1, "height": 2, "width": 2, "classes": 3}
    assert digits().prepare_inputs(rows)["images"].shape == (3, 1, 2, 2)
    assert digits().prepare_targets(rows)["labels"].tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "edgekd.data/1"}, "want 'edgekd.data/2'"),
        ({"extra": 1}, "unknown key 'extra'"),
        ({"inputs": {}}, "no inputs"),
        ({"inputs": []}, "want fields by name"),
        ({"inputs": {"a b": {"kind": "class", "names": ["x", "y"]}}}, "the name 'a b'"),
        ({"targets": {"labels": {"kind": "sound"}}}, "targets.labels: got unknown kind"),
        ({"targets": {"images": {"kind": "class", "names": ["x", "y"]}}}, "an input and a target"),
        ({"counts": {"train": -1}}, "counts"),
        ({"task": 3}, "want text"),
        ({"notes": "x"}, "want lists"),
    ],
)
def test_what_a_stranger_wrote_is_named(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = tmp_path / "data.json"
    path.write_text(json.dumps({**dataset.to_json(digits()), **change}))
    with pytest.raises(InputError, match=says):
        dataset.read(path)
