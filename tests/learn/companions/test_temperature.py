"""The learnt temperature: where it lies, when its gradient counts, which way it goes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from edgekd.learn.companions.temperature import temperature
from edgekd.learn.losses.response.temperatures import ctkd

STUDENT = (2 * torch.sin(1 + torch.arange(40.0))).reshape(4, 10)
TEACHER = (3 * torch.cos(torch.arange(40.0) / 2)).reshape(4, 10)


def raw(module: nn.Module) -> nn.Parameter:
    (only,) = module.parameters()
    return only


def gradient(module: nn.Module) -> float:
    """Of `ctkd`, as it arrives at the parameter."""
    (got,) = torch.autograd.grad(ctkd(STUDENT, TEACHER, module()["temperature"]), raw(module))
    return got.item()


def test_starts_where_the_authors_start_and_stays_within_its_span() -> None:
    module = temperature(batches=10)
    assert module()["temperature"].item() == pytest.approx(1 + 20 / (1 + math.exp(-1)))
    for value, wanted in ((-100.0, 2.0), (0.0, 3.5), (100.0, 5.0)):
        module = temperature(batches=10, lowest=2.0, span=3.0)
        with torch.no_grad():
            raw(module).fill_(value)
        assert module()["temperature"].item() == pytest.approx(wanted)


def test_the_gradient_s_sign_is_reversed_and_its_strength_follows_a_cosine() -> None:
    module = temperature(lowest=1.0, span=20.0, batches=2, epochs=2.0)

    def loss(value: float) -> float:
        at = 1 + 20 / (1 + math.exp(-value))
        return ctkd(STUDENT.double(), TEACHER.double(), torch.tensor(at).double()).item()

    slope = (loss(1 + 1e-4) - loss(1 - 1e-4)) / 2e-4
    assert abs(slope) > 1e-3
    strengths = [0.0, (1 - math.sqrt(0.5)) / 2, 0.5, (1 + math.sqrt(0.5)) / 2, 1.0, 1.0]
    for strength in strengths:
        assert gradient(module) == pytest.approx(-strength * slope, rel=1e-3, abs=1e-7)


def test_descent_raises_the_loss_that_the_student_lowers() -> None:
    module = temperature(batches=1, epochs=1.0)
    module()  # from here on the gradient counts in full
    before = ctkd(STUDENT, TEACHER, module()["temperature"])
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        ctkd(STUDENT, TEACHER, module()["temperature"]).backward()
        optimizer.step()
    assert ctkd(STUDENT, TEACHER, module()["temperature"]) > before + 1e-3


def test_uses_are_counted_in_training_alone_and_kept() -> None:
    module = temperature(batches=10, epochs=1.0).train()
    for _ in range(3):
        module()
    module.eval()
    module()
    assert module.state_dict()["uses"].item() == 3
    other = temperature(batches=10, epochs=1.0)
    other.load_state_dict(module.state_dict())
    assert gradient(other) == gradient(module.train()) != 0


def test_it_is_no_weight_that_decays() -> None:
    assert raw(temperature(batches=10)).ndim == 0
    assert temperature(batches=10)()["temperature"].dtype == torch.float32
