"""Learning rates at the places where they are known by hand."""

from __future__ import annotations

from typing import Any

import pytest

from edgekd.learn.method.schedule import learning_rate
from edgekd.learn.settings import Training


def at(progress: float, **settings: Any) -> float:
    return learning_rate(Training(epochs=10, learning_rate=0.4, **settings), progress)


def test_one_cycle_is_torch_s() -> None:
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    peak = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=10**4, pct_start=0.2)
    for step in range(9_999):
        if step % 777 == 0:
            assert at(step / 10**4) == pytest.approx(peak.get_last_lr()[0], rel=2e-3, abs=5e-5)
        optimizer.step()
        peak.step()


@pytest.mark.parametrize(
    ("schedule", "progress", "want"),
    [
        ("constant", 0.9, 0.4),
        ("cosine", 0.0, 0.4),
        ("cosine", 0.5, 0.2),
        ("cosine", 1.0, 0.0),
        ("step", 0.49, 0.4),
        ("step", 0.5, 0.04),
        ("step", 0.75, 0.004),
    ],
)
def test_by_hand(schedule: str, progress: float, want: float) -> None:
    assert at(progress, schedule=schedule) == pytest.approx(want)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step"])
def test_warm_up_rises_in_a_line(schedule: str) -> None:
    assert at(0.1, schedule=schedule, warmup_epochs=2.0) == pytest.approx(0.2)
    assert at(0.2, schedule=schedule, warmup_epochs=2.0) == pytest.approx(0.4)
