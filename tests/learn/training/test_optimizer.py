"""Which parameters the optimizer moves, and which of them decay."""

from __future__ import annotations

import pytest
from torch import nn

from edgekd.learn.settings import Training
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


def test_an_average_is_made_only_if_it_is_asked_for() -> None:
    model = nn.Linear(2, 2)
    assert build_average(model, Training(epochs=1, batch_size=1)) is None
    assert build_average(model, Training(epochs=1, batch_size=1, ema_decay=0.5)) is not None
