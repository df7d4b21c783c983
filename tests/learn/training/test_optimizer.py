"""Which parameters the optimizer moves, and which of them decay."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edgekd.learn.optimizers import OPTIMIZERS
from edgekd.learn.settings import Training
from edgekd.learn.training import checkpoint
from edgekd.learn.training.optimizer import build_average
from edgekd.learn.training.optimizer import build_optimizer


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_matrices_decay_the_rest_does_not_and_what_is_frozen_stays(kind: str) -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    model[2].requires_grad_(False)
    training = Training(epochs=1, batch_size=1, optimizer=kind, weight_decay=0.25)
    decaying, others = build_optimizer(model, training).param_groups
    assert [id(p) for p in decaying["params"]] == [id(model[0].weight)]
    wanted = [model[0].bias, model[1].weight, model[1].bias]
    assert [id(p) for p in others["params"]] == [id(p) for p in wanted]
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.25, 0.0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_built_and_goes_on_from_its_checkpoint(name: str) -> None:
    """A step, a stop and a step end where two steps do."""
    training = Training.model_validate({"optimizer": {"name": name, **_KNOBS.get(name, {})}})

    def run(steps: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            (model(torch.ones(1, 3)) ** 2).sum().backward()
            optimizer.step()

    torch.manual_seed(0)
    through, stopped = nn.Linear(3, 2), nn.Linear(3, 2)
    stopped.load_state_dict(through.state_dict())
    before = through.weight.detach().clone()
    run(2, through, build_optimizer(through, training))
    first = build_optimizer(stopped, training)
    run(1, stopped, first)
    second = build_optimizer(stopped, training)
    checkpoint.restore_optimizer(second, checkpoint.flatten_optimizer(first))
    run(1, stopped, second)
    assert not torch.equal(before, through.weight)
    assert torch.equal(through.weight, stopped.weight)


@pytest.mark.parametrize(
    "kind",
    ["sgd", "adamw", {"name": "adamw", "eps": 1e-7}, {"name": "adam", "amsgrad": True}],
    ids=str,
)
def test_a_fused_optimizer_moves_alike_and_goes_on_from_its_checkpoint(kind: Any) -> None:
    training = Training.model_validate(
        {"optimizer": kind, "learning_rate": 0.05, "weight_decay": 0.1}
    )
    models = {}
    for name, fused in (("plain", False), ("fused", True), ("stopped", True)):
        torch.manual_seed(0)
        model = models[name] = nn.Linear(3, 2)
        optimizer = build_optimizer(model, training, fused=fused)
        assert bool(optimizer.defaults["fused"]) == fused
        for number in range(4):
            if name == "stopped" and number == 2:
                moments = checkpoint.flatten_optimizer(optimizer)
                optimizer = build_optimizer(model, training, fused=fused)
                checkpoint.restore_optimizer(optimizer, moments)
            optimizer.zero_grad()
            (model(torch.ones(1, 3)) ** 2).sum().backward()
            optimizer.step()
    assert torch.allclose(models["plain"].weight, models["fused"].weight, rtol=1e-5)
    assert torch.equal(models["stopped"].weight, models["fused"].weight)


_KNOBS: dict[str, dict[str, float]] = {"sgd": {"momentum": 0.5}, "adamw": {"eps": 1e-7}}
"""Those that are settings of the training without any."""


def test_an_average_is_made_only_if_it_is_asked_for() -> None:
    model = nn.Linear(2, 2)
    assert build_average(model, Training(epochs=1, batch_size=1)) is None
    assert build_average(model, Training(epochs=1, batch_size=1, ema_decay=0.5)) is not None
