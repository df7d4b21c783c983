"""Whom a scheme may ask for: teachers stored and live, their ways, peers and narrower networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgekd.errors import InputError
from edgekd.fields.image import Image
from edgekd.learn import blueprint
from edgekd.learn.assembly.participants import Participants
from edgekd.learn.data.loader import Samples
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import CombineSettings
from edgekd.learn.view_settings import Views
from edgekd.named_member import NamedMember
from tests import data_example
from tests.knowledge_example import Teacher
from tests.knowledge_example import draw
from tests.knowledge_example import fill
from tests.learn import batch_example
from tests.learn.blueprint_example import image_blueprint

PLAN = image_blueprint(
    builder="resnet8", arguments={"base": 4}, classes=3, channels=1, height=8, width=8
)
PIXELS = Image(height=8, width=8, channels=1, mean=(0.3,), std=(0.2,))
RESOLVED = Arithmetic(precision="fp32", channels_last=False, threads=1)


def samples() -> Samples:
    images = np.random.default_rng(0).integers(0, 255, (12, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(12) % 3
    return data_example.samples(
        images=images, labels=labels, classes=3, image=PIXELS, views=Views(count=2), seed=0
    )


def cast(given: dict[str, Path], combine: CombineSettings | None = None) -> Participants:
    torch.manual_seed(0)
    student = blueprint.build(PLAN)
    return Participants(
        student, PLAN, samples(), RESOLVED, given, False, combine or CombineSettings()
    )


def model(folder: Path, seed: int, mark: str = "") -> dict[str, Path]:
    folder.mkdir()
    torch.manual_seed(seed)
    made = blueprint.save(blueprint.build(PLAN), PLAN, folder)
    return {
        f"teacher_blueprint{mark}": made["blueprint.json"],
        f"teacher_weights{mark}": made["weights.safetensors"],
    }


def seen() -> TensorBatch:
    return batch_example.as_tensors(samples().batch(np.arange(6), 1))


def test_stored_answers_stand_for_the_teacher(tmp_path: Path) -> None:
    answers = np.random.default_rng(1).normal(size=(2, 12, 3)).astype(np.float32)
    np.save(tmp_path / "k.npy", answers)
    told = cast({"knowledge": tmp_path / "k.npy"}).teacher_function()(seen())
    assert np.array_equal(told.numpy(), answers[1, :6])


def test_answers_in_shards_stand_for_the_second_teacher_too(tmp_path: Path) -> None:
    players = {}
    for number, shapes in enumerate([((3,),), ((3,), (2, 2))]):
        made = fill(tmp_path / str(number), Teacher(*shapes), samples=12)
        mark = "_2" if number else ""
        players |= {f"knowledge{mark}/{name}": path for name, path in made.items()}
    one, other = (tell(seen()) for tell in cast(players).teacher_functions())
    for index in range(6):
        assert one[index].numpy().tobytes() == draw(1, index, (3,)).tobytes()
        assert other[1][index].numpy().tobytes() == draw(1, index, (2, 2)).tobytes()


def test_a_live_teacher_is_frozen_and_in_evaluation_mode(tmp_path: Path) -> None:
    players = cast(model(tmp_path / "t", 3))
    told, teacher = players.teacher_function()(seen()), players.teacher()
    assert not told.requires_grad and not teacher.training
    assert not any(p.requires_grad for p in teacher.parameters())
    assert torch.equal(told, teacher(seen().inputs[0]))


def test_several_are_combined_by_the_recipe_s_rule(tmp_path: Path) -> None:
    given = {**model(tmp_path / "a", 3), **model(tmp_path / "b", 4, "_2")}
    one, other = (tell(seen()) for tell in cast(given).teacher_functions())
    assert torch.allclose(cast(given).teacher_function()(seen()), (one + other) / 2)
    mixed = cast(
        given, CombineSettings(rule="mean-probabilities", temperature=2.0)
    ).teacher_function()(seen())
    mean = ((one / 2).softmax(1) + (other / 2).softmax(1)) / 2
    assert torch.allclose((mixed / 2).softmax(1), mean, atol=1e-6)


def test_a_teacher_s_way_ends_with_the_teacher(tmp_path: Path) -> None:
    given = model(tmp_path / "t", 3)
    given["teacher_waypoint_1"] = model(tmp_path / "w", 9)["teacher_weights"]
    first, last = (tell(seen()) for tell in cast(given).waypoint_functions())
    assert torch.equal(last, cast(given).teacher_function()(seen())) and not torch.equal(
        first, last
    )


def test_peers_differ_and_narrower_networks_are_narrower() -> None:
    players = cast({})
    one, other = players.build_peer(1), players.build_peer(2)
    assert not torch.equal(one.conv1.weight, other.conv1.weight)
    assert players.build_smaller("base", 2).conv1.out_channels == 2
    with pytest.raises(InputError, match="wide"):
        players.build_smaller("wide", 2)


def test_what_a_scheme_refuses_names_it() -> None:
    words = NamedMember.parse({"name": "supernet", "values": "x"}, SCHEMES, "scheme")
    with pytest.raises(InputError, match="scheme supernet: values: got 'x'"):
        cast({}).build_scheme(words)
