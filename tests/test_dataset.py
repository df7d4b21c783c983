"""data.json: back as it was, and nothing from a stranger that is none."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd import dataset
from edgekd.errors import InputError
from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.fields.map import Map
from edgekd.fields.number import Number


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


def two_of_each() -> dataset.Dataset:
    number = Number(columns=("a", "b"), mean=(0.0, 0.0), std=(2.0, 1.0))
    return dataset.Dataset(
        task="own",
        inputs={"left": number, "right": number},
        targets={"shape": Label(names=("a", "b")), "color": Label(names=tuple("abc")), "y": number},
    )


def test_of_two_fields_that_name_a_size_the_second_adds_its_own_name() -> None:
    assert two_of_each().sizes() == {
        "columns": 2,
        "right_columns": 2,
        "classes": 2,
        "color_classes": 3,
        "numbers": 2,
    }


def test_a_number_is_standardized_as_an_input_and_as_a_target() -> None:
    two = np.full((1, 2), 4, np.float32)
    rows = {
        "left": two,
        "right": two,
        "shape": np.zeros(1, int),
        "color": np.zeros(1, int),
        "y": two,
    }
    assert two_of_each().prepare_inputs(rows)["left"].tolist() == [[2, 4]]
    assert two_of_each().prepare_targets(rows)["y"].tolist() == [[2, 4]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labels": np.array([0])}, "train: got 2 images, 1 labels, want as many of each"),
        ({"labels": np.array([0, 3])}, "train: labels: got label 3"),
        ({"more": np.array([0])}, "got the fields images, labels, more, want images, labels"),
    ],
)
def test_rows_that_are_not_what_the_fields_say_are_refused(
    change: dict[str, np.ndarray], says: str
) -> None:
    rows = {"images": np.zeros((2, 2, 2, 1), np.uint8), "labels": np.array([0, 1])}
    digits().check(rows, "train")
    with pytest.raises(InputError, match=says):
        digits().check({**rows, **change}, "train")


def test_a_map_of_another_size_than_its_image_is_refused() -> None:
    number = Number(columns=("a",), mean=(0.0,), std=(1.0,))
    maps = Map(height=2, width=3, names=("a", "b"))
    wrong = dataclasses.replace(digits(), targets={"maps": maps})
    with pytest.raises(ValueError, match="maps: got 2 x 3, want 2 x 2 as images has"):
        wrong.require_fits()
    dataclasses.replace(
        digits(), targets={"maps": dataclasses.replace(maps, width=2)}
    ).require_fits()
    dataclasses.replace(wrong, inputs={"numbers": number}).require_fits()
