from __future__ import annotations

import pytest

from edgekd.errors import InputError
from edgekd.learn.data import SOURCES
from edgekd.learn.data.proposal import propose_recipe
from edgekd.learn.data.survey import Survey
from edgekd.learn.models import MODELS

IMAGES = {"images": "image", "labels": "class"}


def survey(train: int, classes: int = 2, **splits: int) -> Survey:
    counts = {f"c{i}": train // classes for i in range(classes)}
    return Survey((), {"train": train, **splits}, IMAGES, counts, None, ())


def test_a_batch_never_is_larger_than_what_is_left_to_train_on() -> None:
    for train in (8, 9, 30, 100, 5000):
        found = propose_recipe(IMAGES, survey(train), 32, "x")
        assert found.training["batch_size"] <= int(train * 0.8 * 0.9)
        assert 0 < found.training["learning_rate"] <= 0.1


def test_more_data_train_for_fewer_epochs_and_cost_more() -> None:
    few, many = (propose_recipe(IMAGES, survey(n), 128, "x") for n in (200, 20_000))
    assert few.epochs > many.epochs and few.minutes < many.minutes


def test_only_missing_splits_need_samples_of_every_class() -> None:
    with pytest.raises(InputError, match="got 2 samples of class 'c0', want 3"):
        propose_recipe(IMAGES, survey(4), 32, "x")
    assert propose_recipe(IMAGES, survey(4, validation=2, test=2), 32, "x").task
    with pytest.raises(InputError, match="got 1 sample of class 'c0', want 2"):
        propose_recipe(IMAGES, survey(2, validation=2), 32, "x")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"images": "image"}, "got image, want data of a task"),
        ({"text": "tokens", "numbers": "number"}, "got tokens to learn number from"),
        ({}, "got fields that only your code knows"),
    ],
)
def test_what_no_network_takes_is_refused(fields: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        propose_recipe(fields, None, None, "x")


@pytest.mark.parametrize(
    "name", [name for name, each in SOURCES.items() if each.gives.get("text") == "tokens"]
)
def test_there_are_networks_for_every_source_of_texts(name: str) -> None:
    found = propose_recipe(SOURCES[name].gives, None, None, name)
    assert found.views == {"count": 4 if name == "masked-text" else 1}  # no more than epochs
    wanted = set(MODELS[found.teacher["name"]].supplied) - {"vocabulary", "longest", "types"}
    targets = [kind for field, kind in SOURCES[name].gives.items() if field != "text"]
    gives = {
        "class": {"classes"},
        "tags": {"classes"},
        "pairs": {"dimensions"},
        "next-tokens": set(),
        "masked-tokens": set(),
    }
    assert wanted == gives[targets[0]] and found.teacher["name"] == found.student["name"]
