"""Losses whose temperature is learned, or is the teacher's alone: by hand and by identity."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.losses.response import LOSSES
from edgekd.learn.losses.response.multi_level import mlkd
from edgekd.learn.losses.response.soft_targets import kd
from edgekd.learn.losses.response.temperatures import ctkd
from edgekd.learn.losses.response.temperatures import ttm
from edgekd.learn.losses.response.temperatures import wttm
from edgekd.learn.signals import needs
from edgekd.named_member import bind
from edgekd.table import find_signature

K = torch.arange(40, dtype=torch.float64)
NAMES = ("ctkd", "ttm", "wttm")


def logits() -> tuple[Tensor, Tensor]:
    student = (2 * torch.sin(1 + K)).reshape(4, 10).requires_grad_()
    return student, (3 * torch.cos(K / 2)).reshape(4, 10).requires_grad_()


def call(name: str, student: Tensor, teacher: Tensor) -> Tensor:
    given: dict[str, Any] = {"temperature": torch.tensor(4.0)} if name == "ctkd" else {}
    return LOSSES[name].load()(student, teacher, **given)


def test_ttm_by_hand() -> None:
    """Teacher 9 : 1, at T = 2 the roots 3 : 1, against a student that knows nothing; no T^2."""
    student, teacher = torch.zeros(1, 2), torch.tensor([[math.log(9), 0.0]])
    want = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert ttm(student, teacher, temperature=2.0).item() == pytest.approx(want, rel=1e-5)
    power_sum = math.sqrt(0.9) + math.sqrt(0.1)
    assert wttm(student, teacher, temperature=2.0).item() == pytest.approx(
        power_sum * want, rel=1e-5
    )


def test_wttm_weighs_samples_one_by_one() -> None:
    student, teacher = logits()
    total = 0.0
    for row in range(4):
        powers = F.softmax(teacher[row], 0) ** (1 / 5)
        apart = ttm(student[row : row + 1], teacher[row : row + 1], temperature=5.0)
        total += powers.sum().item() * apart.item()
    assert wttm(student, teacher).item() == pytest.approx(total / 4, rel=1e-10)


def test_power_sums_lie_between_one_and_what_an_undecided_teacher_gives() -> None:
    student = torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64)
    sure = torch.tensor([[500.0, 0, 0, 0]], dtype=torch.float64)
    unsure = torch.zeros(1, 4, dtype=torch.float64)
    at = 2.0
    for teacher, power_sum in ((sure, 1.0), (unsure, 4 ** (1 - 1 / at))):
        ratio = wttm(student, teacher, temperature=at) / ttm(student, teacher, temperature=at)
        assert ratio.item() == pytest.approx(power_sum, rel=1e-9)


def test_at_temperature_one_all_are_kd() -> None:
    student, teacher = logits()
    want = kd(student, teacher, temperature=1.0).item()
    assert ttm(student, teacher, temperature=1.0).item() == pytest.approx(want, rel=1e-12)
    assert wttm(student, teacher, temperature=1.0).item() == pytest.approx(want, rel=1e-12)
    one = torch.ones((), dtype=torch.float64)
    assert ctkd(student, teacher, one).item() == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("name", ["ttm", "wttm"])
def test_zero_where_the_student_is_the_softened_teacher(name: str) -> None:
    _, teacher = logits()
    at = bind(LOSSES[name], {})["temperature"]
    assert call(name, teacher / at, teacher).item() == pytest.approx(0, abs=1e-12)
    assert call(name, teacher, teacher).item() > 0.1


def test_ctkd_is_kd_at_its_temperature_and_differentiates_it_too() -> None:
    student, teacher = logits()
    at = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    value = ctkd(student, teacher, at)
    assert value.item() == pytest.approx(kd(student, teacher, temperature=3.0).item(), rel=1e-12)
    value.backward()
    step = 1e-5
    above, below = (kd(student, teacher, temperature=3.0 + s).item() for s in (step, -step))
    assert at.grad is not None
    assert at.grad.item() == pytest.approx((above - below) / (2 * step), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_teacher_gets_no_gradient_and_the_student_the_right_one(name: str) -> None:
    student, teacher = logits()
    call(name, student, teacher).backward()
    assert teacher.grad is None
    assert student.grad is not None
    direction, step = torch.cos(K).reshape(4, 10), 1e-5
    with torch.no_grad():
        above, below = (call(name, student + s * direction, teacher) for s in (step, -step))
    slope = (above - below).item() / (2 * step)
    assert (student.grad * direction).sum().item() == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_finite_at_extremes_and_in_half_precision(name: str, dtype: torch.dtype) -> None:
    size = 1e4 if dtype != torch.float16 else 1e2
    student, teacher = ((z.detach() * size).to(dtype) for z in logits())
    student.requires_grad_()
    value = call(name, student, teacher)
    value.backward()
    assert value.dtype == torch.float32
    assert bool(value.isfinite())
    assert student.grad is not None
    assert bool(student.grad.isfinite().all())


@pytest.mark.parametrize("name", NAMES)
def test_order_of_the_batch_and_shapes(name: str) -> None:
    student, teacher = logits()
    turned = call(name, student.flip(0), teacher.flip(0))
    assert turned.item() == pytest.approx(call(name, student, teacher).item(), rel=1e-12)
    with pytest.raises(ValueError, match="want two"):
        call(name, student[:, :9], teacher)


def test_ctkd_wants_one_temperature() -> None:
    student, teacher = logits()
    with pytest.raises(ValueError, match=r"want one temperature \[\]"):
        ctkd(student, teacher, torch.ones(4))


def test_ctkd_takes_its_companion_s_knobs_and_asks_the_scheme_for_logits_alone() -> None:
    assert set(find_signature(LOSSES["ctkd"]).knobs.model_fields) == {"lowest", "span", "epochs"}
    assert needs(LOSSES["ctkd"]) == ("student_logits", "teacher_logits")


def test_mlkd_is_its_terms_at_its_temperatures() -> None:
    """Each term alone, added up by hand; temperatures are even, one alone is the middle."""
    student, teacher = (z.detach() for z in logits())
    batch, classes = student.shape

    def by_hand(temperature: float, weights: tuple[float, float, float]) -> float:
        s, t = ((z / temperature).softmax(1) for z in (student, teacher))
        instance = (t * (t.log() - s.log())).sum() / batch * temperature**2
        across = ((t @ t.T - s @ s.T) ** 2).sum() / batch
        between = ((t.T @ t - s.T @ s) ** 2).sum() / classes
        parts = zip(weights, (instance, across, between), strict=True)
        return float(sum(weight * part for weight, part in parts))

    usual = sum(by_hand(t, (1, 1, 1)) for t in (2.0, 3.0, 4.0, 5.0, 6.0))
    assert mlkd(student, teacher).item() == pytest.approx(usual, rel=1e-9)
    for weights in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 2, 3)):
        knobs = dict(zip(("instance", "batch", "classes"), map(float, weights), strict=True))
        asked = {"temperature": 3.0, "spread": 0.2, "temperatures": 3, **knobs}
        want = sum(by_hand(t, weights) for t in (2.4, 3.0, 3.6))
        assert mlkd(student, teacher, **asked).item() == pytest.approx(want, rel=1e-9)
        alone = mlkd(student, teacher, **{**asked, "temperatures": 1}).item()
        assert alone == pytest.approx(by_hand(3.0, weights), rel=1e-9)
    for wrong in ({"spread": 1.0}, {"instance": 0.0, "batch": 0.0, "classes": 0.0}):
        with pytest.raises(ValueError, match="want spread below 1 and a weight above 0"):
            mlkd(student, teacher, **wrong)
