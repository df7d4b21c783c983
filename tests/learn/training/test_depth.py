"""Rates by depth and frozen stages: which parameters they are, and what becomes of them in training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edgekd.errors import InputError
from edgekd.learn import blueprint
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.settings import Training
from edgekd.learn.training.depth import order_stages
from edgekd.learn.training.depth import plan_rates
from edgekd.learn.training.fit import fit
from tests.learn.blueprint_example import image_blueprint
from tests.learn.training.test_updates import net
from tests.learn.training.test_updates import run
from tests.learn.training.test_updates import taught
from tests.learn.training.test_updates import term

RESNET, VIT = "resnet8", "vit-tiny"


def build(name: str) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    plan = image_blueprint(builder=name, classes=5, channels=3, height=16, width=16)
    torch.manual_seed(0)
    return blueprint.build(plan), plan.blank(2)


def training(**words: object) -> Training:
    return Training.model_validate({"epochs": 2, "batch_size": 8, **words})


def test_stages_of_convolutions_go_from_the_image_to_the_classifier() -> None:
    model, inputs = build(RESNET)
    order = order_stages(model, *inputs)
    assert order.head == 3
    assert [order.find_stage(f"{name}.weight") for name in ("conv1", "bn1", "fc")] == [0, 0, 3]
    for stage, layer in enumerate(("layer1", "layer2", "layer3")):
        names = [name for name, _ in model.named_parameters() if name.startswith(layer)]
        assert names and {order.find_stage(name) for name in names} == {stage}


def test_tokens_are_of_the_first_stage_and_blocks_in_their_order() -> None:
    model, inputs = build(VIT)
    order = order_stages(model, *inputs)
    found = [order.find_stage(name) for name, _ in model.named_parameters()]
    own = {n for n, _ in model.named_parameters() if "." not in n}
    assert own and {order.find_stage(name) for name in own} == {0}
    assert max(found) == order.head and set(found) == set(range(order.head + 1))
    blocks = [
        order.find_stage(name)
        for name, _ in model.named_parameters()
        if any(part.isdecimal() for part in name.split("."))
    ]
    assert blocks == sorted(blocks)


def test_a_stage_learns_at_the_next_one_s_rate_times_the_decay() -> None:
    model, inputs = build(RESNET)
    factors = plan_rates(model, training(layer_decay=0.5), inputs).factors
    assert factors["fc.weight"] == 1.0
    assert factors["layer3.0.conv1.weight"] == 0.5
    assert factors["conv1.weight"] == 0.125
    assert plan_rates(model, training(), inputs).factors == {}


@pytest.mark.parametrize("freeze", [1, ["conv1", "bn1", "layer1"]])
def test_frozen_stages_are_the_same_by_number_and_by_path(freeze: object) -> None:
    model, inputs = build(RESNET)
    rates = plan_rates(model, training(freeze=freeze), inputs)
    first = ("conv1.", "bn1.", "layer1.")
    assert set(rates.constant) == {n for n, _ in model.named_parameters() if n.startswith(first)}
    norms = {n for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    frozen = {n for n in norms if f"{n}.".startswith(first)}
    assert frozen == norms & set(rates.still)


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        (4, "got 4, want at most 3"),
        (["layre1"], "got 'layre1', want the path of a module"),
        (["conv1", "bn1", "layer1", "layer2", "layer3", "fc"], "want some left to train"),
    ],
)
def test_what_cannot_be_frozen_is_refused(freeze: object, message: str) -> None:
    model, inputs = build(RESNET)
    with pytest.raises(InputError, match=message):
        plan_rates(model, training(freeze=freeze), inputs)


def test_what_is_frozen_stays_to_the_last_bit_and_the_rest_learns_at_its_rate(
    tmp_path: Path,
) -> None:
    """Three small steps of plain SGD move a matrix by nearly its factor of what they move it without one."""
    words = {
        "momentum": 0.0,
        "weight_decay": 0.0,
        "schedule": "constant",
        "epochs": 1,
        "warmup_epochs": 0.0,
    }
    ends = {}
    before = net().state_dict()
    for name in ("plain", "decay", "frozen"):
        one = run(
            tmp_path / name, (term("cross-entropy", 1.0),), Scheme(taught, nn.ModuleDict()), **words
        )
        if name == "decay":
            factors = {"1.weight": 0.25, "2.weight": 0.25, "2.bias": 0.25}
            one.rates = one.rates._replace(factors=factors)
        if name == "frozen":
            one.rates = plan_rates(net(), training(freeze=["1", "2"]), ())
        fit(one)
        ends[name] = one.model.state_dict()
    for name in ("1.weight", "2.weight", "2.bias", "2.running_mean", "2.running_var"):
        assert torch.equal(ends["frozen"][name], before[name]), name
        assert not torch.equal(ends["plain"][name], before[name]), name
    assert not torch.equal(ends["frozen"]["3.weight"], before["3.weight"])
    moved = {name: (end["1.weight"] - before["1.weight"]).norm() for name, end in ends.items()}
    assert 0.2 < moved["decay"] / moved["plain"] < 0.3
