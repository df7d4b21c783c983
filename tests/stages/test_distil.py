"""Students that compare layers learn from stored ones what they learn from a live teacher's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekd.errors import InputError
from edgekd.learn import blueprint
from edgekd.learn.knowledge import filling
from edgekd.learn.knowledge.layers import StoredLayers
from edgekd.learn.knowledge.layers import parse_layers
from edgekd.learn.knowledge.layout import read_manifest
from edgekd.learn.losses import LOSSES
from edgekd.learn.signals import reads_layers
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import check
from edgekd.stages import distil
from edgekd.stages import knowledge
from tests import data_example
from tests.learn.blueprint_example import image_blueprint

STUDENT = {"name": "resnet8", "base": 4}
TEACHER = {"name": "resnet14", "base": 8}
PLAN = image_blueprint(
    builder="resnet14", arguments={"base": 8}, classes=3, channels=1, height=8, width=8
)
VIEWS = {"count": 2, "flip": True}
TRAIN = {"epochs": 2, "batch_size": 8}
FEW = ["fitnet", "at", "sp", "rkd", "pkd", "cosine"]
OF_TOKENS = ("attention-scores", "minilm")
INSIDE = [
    name
    for name in LOSSES
    if reads_layers(LOSSES[name], "teacher") and not LOSSES[name].reuses_classifier
    if name not in OF_TOKENS
]


class Place:
    """One data set and teacher, and the stages that learn from them."""

    def __init__(self, root: Path, *, channels_last: bool = False) -> None:
        self.root = root
        torch.manual_seed(1)
        (root / "teacher").mkdir()
        saved = blueprint.save(blueprint.build(PLAN), PLAN, root / "teacher")
        part = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), np.uint8)
        labels = np.arange(20) % 3
        found = data_example.write_data(
            root / "data",
            data_example.image(8, 8),
            "abc",
            train=(part, labels),
            validation=(part[:6], labels[:6]),
        )
        resolved = {"precision": "fp32", "channels_last": channels_last, "threads": 1}
        (root / "resolved.json").write_text(json.dumps(resolved))
        self.data = {"data": found["data"], "train": found["train"]}
        self.validation = {"validation": found["validation"]}
        self.resolved = {"resolved": root / "resolved.json"}
        self.teacher = {
            "blueprint": saved["blueprint.json"],
            "weights": saved["weights.safetensors"],
        }
        self.made = 0

    def context(self) -> Context:
        self.made += 1
        folder = self.root / f"made-{self.made}"
        (folder / "checkpoints").mkdir(parents=True)
        work = folder / "checkpoints"
        return Context(folder=folder, checkpoints=work, seed=0, progress=Silent())

    def layers(self, *losses: Any) -> Path:
        case = {
            "label": "distil",
            "student": {"model": STUDENT, "input": None},
            "teachers": [{"model": TEACHER, "input": None}],
            "losses": losses,
            "scheme": "offline",
            "train": TRAIN,
            "may_store_layers": True,
        }
        config = {"views": VIEWS, "seed": 0, "plain": (), "cases": [case]}
        made = check.run(check.CheckConfig.model_validate(config), self.data, self.context())
        return made["layers-distil.json"]

    def fill(
        self, *layers: Path, context: Context | None = None, **storage: Any
    ) -> dict[str, Path]:
        config = {"views": VIEWS, "views_seed": 0, "storage": storage or None}
        beside = {f"layers_{number}": path for number, path in enumerate(layers, start=1)}
        given = {**self.data, **self.teacher, **self.resolved, **beside}
        words = knowledge.KnowledgeConfig.model_validate(config)
        return knowledge.run(words, given, context or self.context())

    def learn(self, *losses: Any, stored: dict[str, Path] | None = None, **start: Path) -> bytes:
        live = {f"teacher_{name}": path for name, path in self.teacher.items()}
        beside = {f"knowledge/{name}": path for name, path in (stored or {}).items()}
        given = {**self.data, **self.validation, **self.resolved, **(beside or live), **start}
        config = {
            "model": STUDENT,
            "losses": losses,
            "knowledge": "stored" if stored else "online",
            "train": TRAIN,
            "views": VIEWS,
            "views_seed": 0,
        }
        made = distil.run(distil.DistilConfig.model_validate(config), given, self.context())
        return made["weights.safetensors"].read_bytes()


def stored_layers(made: dict[str, Path]) -> StoredLayers:
    layers = read_manifest(made["knowledge.json"]).layers
    assert layers is not None
    return layers


@pytest.mark.parametrize(
    ("channels_last", "inside"),
    [
        (False, FEW),
        (True, FEW),
        pytest.param(False, INSIDE, marks=pytest.mark.slow),
    ],
    ids=["channels first", "channels last", "every loss"],
)
def test_stored_layers_make_the_same_student_to_the_bit(
    tmp_path: Path, channels_last: bool, inside: list[str]
) -> None:
    place = Place(tmp_path, channels_last=channels_last)
    losses = ["kd", *inside]
    made = place.fill(place.layers(*losses))
    assert place.learn(*losses, stored=made) == place.learn(*losses)


def test_a_teacher_s_store_has_the_layers_that_its_students_read(tmp_path: Path) -> None:
    place = Place(tmp_path)
    embeddings = stored_layers(place.fill(place.layers("kd", "rkd")))
    assert [each.shape for each in embeddings.tapped] == [(32,)]
    maps = stored_layers(place.fill(place.layers("kd", "fitnet")))
    assert [(each.shape, each.is_pooled) for each in maps.tapped] == [((16, 4, 4), False)]
    both = stored_layers(place.fill(place.layers("kd", "rkd"), place.layers("kd", "fitnet")))
    assert set(both.tapped) == {*embeddings.tapped, *maps.tapped}


@pytest.mark.parametrize("encoding", ["fp16", "bf16", "int8"])
def test_other_encodings_say_how_far_the_layers_are_off(tmp_path: Path, encoding: str) -> None:
    place = Place(tmp_path)
    made = place.fill(place.layers("kd", "at"), encoding=encoding, top_k=2)
    error = read_manifest(made["knowledge.json"]).error["largest_layer_difference"]
    assert 0 < error <= {"fp16": 1 / 2048, "bf16": 1 / 256, "int8": 1 / 255}[encoding]
    assert place.learn("kd", "at", stored=made) != place.learn("kd", "at")


def test_a_killed_fill_with_layers_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    layers = place.layers("kd", "at")
    whole, save = place.fill(layers), filling._save

    def die(*arguments: Any) -> Path:
        save(*arguments)
        raise KeyboardInterrupt

    context = place.context()
    monkeypatch.setattr(filling, "_save", die)
    with pytest.raises(KeyboardInterrupt):
        place.fill(layers, context=context)
    monkeypatch.setattr(filling, "_save", save)
    again = place.fill(layers, context=context)
    assert {name: path.read_bytes() for name, path in again.items()} == {
        name: path.read_bytes() for name, path in whole.items()
    }


def test_layers_that_are_not_stored_are_asked_for_by_name(tmp_path: Path) -> None:
    place = Place(tmp_path)
    made = place.fill(place.layers("kd", "fitnet"))
    with pytest.raises(InputError, match="got no layer 'fc:input' among the stored"):
        place.learn("kd", "rkd", stored=made)
    plain = place.fill(encoding="fp32")
    with pytest.raises(InputError, match="got answers without layers"):
        place.learn("kd", "fitnet", stored=plain)


def test_strange_lists_of_layers_are_refused() -> None:
    layer = {"place": "a", "shape": [2, 3], "is_pooled": False, "order": [1, 0]}
    good = {"stages": ["a"], "classifier": "b:input", "tapped": [layer]}
    assert parse_layers(good).tapped[0].stored_shape == (3, 2)
    for change in (
        {"order": [0, 0]},
        {"shape": [2, -3]},
        {"shape": [2**20, 2**20]},
        {"shape": [True, 3]},
        {"is_pooled": 1},
        {"place": 3},
        {"place": "a" * 501},
    ):
        with pytest.raises((ValueError, TypeError)):
            parse_layers({**good, "tapped": [{**layer, **change}]})
    for value in (
        {**good, "tapped": []},
        {**good, "tapped": [layer, layer]},
        {**good, "stages": [0]},
    ):
        with pytest.raises(ValueError):
            parse_layers(value)


def test_what_lost_nothing_is_given_as_it_is_and_what_lost_anything_learns(tmp_path: Path) -> None:
    place = Place(tmp_path)
    start = {f"start_{name}": path for name, path in place.teacher.items()}
    whole = {f"whole_{name}": path for name, path in place.teacher.items()}
    was = whole["whole_weights"].read_bytes()
    assert place.learn("cross-entropy", **start, **whole) == was
    assert place.learn("cross-entropy", **start) != was
    torch.manual_seed(2)
    (tmp_path / "other").mkdir()
    other = blueprint.save(blueprint.build(PLAN), PLAN, tmp_path / "other")
    whole["whole_weights"] = other["weights.safetensors"]
    assert place.learn("cross-entropy", **start, **whole) not in (
        was,
        whole["whole_weights"].read_bytes(),
    )
