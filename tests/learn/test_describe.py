"""What a source's fields and a task are together: refused before anything is trained, or described."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.field import from_rows
from edgekd.learn import describe
from edgekd.learn.source import AS_GIVEN
from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source
from edgekd.tasks import load_task

GENERATOR = np.random.default_rng(0)
MAPS = GENERATOR.integers(0, 3, (20, 4, 6)).astype(np.uint8)
PAIR = ("a", "b", "c")


def source(**fields: tuple[str, dict[str, Any], Any]) -> Source:
    described = {name: FieldWords(kind, words) for name, (kind, words, _) in fields.items()}
    return Source({"train": {name: rows for name, (_, _, rows) in fields.items()}}, described)


def texts() -> Any:
    rows = [GENERATOR.integers(0, 9, 1 + n % 4) for n in range(20)]
    return from_rows(rows, np.zeros(0, np.int64))


NUMBERS = ("number", {}, GENERATOR.normal(size=(20, 2)).astype(np.float32))
IMAGES = ("image", {}, MAPS[..., None])
SOURCES = {
    "classification": source(
        text=("tokens", {"vocabulary": 9}, texts()),
        labels=("class", {"names": PAIR}, np.arange(20) % 3),
    ),
    "multi-label": source(
        images=IMAGES,
        labels=("classes", {"names": PAIR}, GENERATOR.integers(0, 2, (20, 3)).astype(np.uint8)),
    ),
    "regression": source(x=NUMBERS, images=IMAGES, numbers=NUMBERS),
    "segmentation": source(images=IMAGES, maps=("map", {"names": PAIR}, MAPS)),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_task_takes_its_fields(name: str) -> None:
    task = load_task(name)
    found = describe.describe_fields(SOURCES[name], task, np.arange(15), {}, "here")
    assert set(found.targets) == set(task.targets)
    assert set(found.fields) == set(SOURCES[name].fields)


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        (
            "segmentation",
            source(images=IMAGES, maps=("map", {"names": PAIR}, MAPS[:, :3])),
            "here: maps: got 3 x 6, want 4 x 6 as images has",
        ),
        (
            "segmentation",
            source(images=IMAGES, maps=("map", {"names": PAIR}, MAPS + 1)),
            "here, train split: maps: got class 3 in map",
        ),
        (
            "regression",
            source(x=NUMBERS, numbers=("number", {}, np.full(20, np.nan, np.float32))),
            "got nan in row 0",
        ),
        (
            "regression",
            SOURCES["segmentation"],
            "numbers: got none, want a target of kind 'number'",
        ),
        (
            "classification",
            source(
                text=("tokens", {"vocabulary": 8, "longest": 4}, texts()),
                labels=("class", {"names": PAIR}, np.arange(20) % 3),
            ),
            "text: got token 8 in sample",
        ),
        (
            "classification",
            source(
                text=("tokens", {"vocabulary": 9, "longest": 3}, texts()),
                labels=("class", {"names": PAIR}, np.arange(20) % 3),
            ),
            "text: got 4 tokens in sample 3, want 1 to 3",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(name: str, given: Source, says: str) -> None:
    with pytest.raises(InputError, match=says):
        describe.describe_fields(given, load_task(name), np.arange(15), {}, "here")


def test_data_without_labels_are_told_the_task_that_needs_none() -> None:
    rows = np.zeros((4, 2), np.float32)
    source = Source({"train": {"x": rows}}, {"x": AS_GIVEN})
    with pytest.raises(InputError) as refused:
        describe.describe_fields(
            source, load_task("classification"), np.arange(4), {}, "arrays:a.npz"
        )
    assert refused.value.hint.startswith("task: float-agreement")


def test_a_task_that_gives_what_nobody_can_use_is_refused_before_training() -> None:
    task = load_task("regression")._replace(agree=lambda one, other: 1.0)
    with pytest.raises(InputError, match=r"here: agree: got '\[\]', want \[4\]"):
        describe.describe_fields(SOURCES["regression"], task, np.arange(15), {}, "here")
