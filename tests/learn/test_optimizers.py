"""The table of optimizers is torch's own: names, knobs, defaults."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from edgekd.learn.optimizers import BY_SETTINGS
from edgekd.learn.optimizers import OPTIMIZERS
from edgekd.learn.optimizers import REFUSED
from edgekd.learn.optimizers import OptimizerSettings
from edgekd.learn.optimizers import parse_optimizer
from edgekd.learn.quantize_settings import Learning
from edgekd.learn.settings import Training

OF_THE_TRAINING = {"self", "params", "lr", "weight_decay"}
HOW_IT_IS_COMPUTED = {"foreach", "fused", "capturable", "differentiable", "maximize"}
LEFT_OUT = {"adafactor": {"eps"}}
"""A pair of which one is nothing."""


def classes() -> dict[str, Any]:
    found = {name: getattr(torch.optim, name) for name in dir(torch.optim)}
    kinds = {n: c for n, c in found.items() if isinstance(c, type) and n != "Optimizer"}
    return {n.lower(): c for n, c in kinds.items() if issubclass(c, torch.optim.Optimizer)}


def test_every_optimizer_of_torch_is_in_the_table_or_refused_with_a_reason() -> None:
    unknown = set(classes()) - set(OPTIMIZERS) - set(REFUSED)
    assert not unknown and set(OPTIMIZERS) <= set(classes())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_knobs_and_defaults_are_those_of_torch(name: str) -> None:
    built = classes()[name]
    assert built.__name__ == OPTIMIZERS[name].torch_name
    taken = inspect.signature(built.__init__).parameters
    own = set(taken) - OF_THE_TRAINING - HOW_IT_IS_COMPUTED - LEFT_OUT.get(name, set())
    assert set(OPTIMIZERS[name].knobs) == own
    for knob, usual in OPTIMIZERS[name].knobs.items():
        assert usual == taken[knob].default, knob
    assert OPTIMIZERS[name].learning_rate == taken["lr"].default
    assert OPTIMIZERS[name].decays == ("weight_decay" in taken)


@pytest.mark.parametrize("name", BY_SETTINGS)
def test_those_that_were_there_before_stay_a_word(name: str) -> None:
    for value in (name, name.upper(), {"name": name}):
        assert Training(optimizer=value).model_dump()["optimizer"] == name  # type: ignore[arg-type]
    assert Training(optimizer=name).learning_rate == 0.1  # type: ignore[arg-type]


def test_others_take_all_their_knobs_and_the_rate_of_torch() -> None:
    found = Training.model_validate({"optimizer": {"name": "RMSprop", "alpha": 0.9}})
    assert found.learning_rate == 0.01
    assert found.optimizer == OptimizerSettings(
        name="rmsprop", knobs={"alpha": 0.9, "eps": 1e-8, "momentum": 0.0, "centered": False}
    )
    assert Training.model_validate({"optimizer": "adam", "learning_rate": 0.5}).learning_rate == 0.5
    assert Learning.model_validate({"optimizer": "adam"}).learning_rate == 3e-4
    same = Training.model_validate({"optimizer": {"name": "adam", "eps": 1e-8}})
    assert same == Training.model_validate({"optimizer": "Adam"})
    assert Training.model_validate_json(same.model_dump_json()) == same


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("addam", "did you mean 'adam'"),
        ("LBFGS", "write adamw"),
        ({"name": "adam", "beta": [0.9, 0.99]}, "did you mean 'betas'"),
        ({"name": "adam", "betas": 0.9}, "betas: got 0.9, want a list of 2 numbers"),
        ({"name": "adam", "betas": [0.9, 1.0]}, "betas: got 1.0, want a number < 1"),
        ({"name": "adam", "eps": "1e-8"}, "eps: got '1e-8', want a number"),
        ({"name": "adam", "eps": -1}, "eps: got -1, want a number >= 0"),
        ({"name": "adam", "amsgrad": 1}, "amsgrad: got 1, want true or false"),
        ({"name": "adam", "lr": 1}, "want it in train: learning_rate"),
        ({"knobs": {}}, "got no name"),
    ],
)
def test_what_no_optimizer_takes_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        parse_optimizer(value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "rmsprop", "momentum": 0.5}, "want it beside the name"),
        ({"optimizer": "adam", "momentum": 0.5}, "it has none"),
        ({"optimizer": "rprop", "weight_decay": 0.5}, "which has none"),
    ],
)
def test_a_setting_that_would_be_passed_over_is_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Training.model_validate(settings)
