"""Each loss against values of the public reference functions named in golden.json, in float64.

Inputs: student logits 2 sin(1 + k), teacher logits 3 cos(k / 2), shape (4, 10), k row-major from 0;
labels 1, 4, 7, 0. The gradient is compared by its norm and along cos(.37 k + .2).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from edgekd.learn.losses import LOSSES
from edgekd.table import signature

GOLDEN: list[dict[str, Any]] = json.loads(Path(__file__).with_name("golden.json").read_text())
K = torch.arange(40, dtype=torch.float64)


def signals() -> dict[str, torch.Tensor]:
    return {
        "student_logits": (2 * torch.sin(1 + K)).reshape(4, 10).requires_grad_(),
        "teacher_logits": (3 * torch.cos(K / 2)).reshape(4, 10).requires_grad_(),
        "labels": torch.tensor([1, 4, 7, 0]),
    }


def call(name: str, given: dict[str, torch.Tensor], **knobs: float) -> torch.Tensor:
    member = LOSSES[name]
    return member.load()(*(given[s] for s in signature(member).positional), **knobs)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: f"{c['loss']} {c['knobs']}")
def test_value_and_gradient_are_the_reference_s(case: dict[str, Any]) -> None:
    given = signals()
    value = call(case["loss"], given, **case["knobs"])
    value.backward()
    gradient = given["student_logits"].grad
    assert gradient is not None
    assert value.item() == pytest.approx(case["value"], rel=1e-9)
    assert gradient.norm().item() == pytest.approx(case["l2"], rel=1e-6)
    along = (gradient.flatten() * torch.cos(0.37 * K + 0.2)).sum().item()
    assert along == pytest.approx(case["directional"], rel=1e-6)
    assert given["teacher_logits"].grad is None


def test_every_loss_has_a_reference_value() -> None:
    assert {case["loss"] for case in GOLDEN} == set(LOSSES)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_finite_at_extremes_and_in_half_precision(name: str, dtype: torch.dtype) -> None:
    given = signals()
    size = 1e4 if dtype != torch.float16 else 1e2
    given = {
        k: (v.detach() * size).to(dtype).requires_grad_() if v.is_floating_point() else v
        for k, v in given.items()
    }
    value = call(name, given)
    value.backward()
    assert value.dtype == torch.float32
    assert bool(value.isfinite())
    gradient = given["student_logits"].grad
    assert gradient is not None
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_order_of_the_batch_does_not_matter(name: str) -> None:
    given, order = signals(), torch.tensor([2, 0, 3, 1])
    turned = {k: v[order] for k, v in given.items()}
    assert call(name, turned).item() == pytest.approx(call(name, given).item(), rel=1e-12)


@pytest.mark.parametrize("name", ["kd", "logit-mse"])
def test_zero_at_a_copy_and_shapes_refused(name: str) -> None:
    given = signals()
    given["student_logits"] = given["teacher_logits"]
    assert call(name, given).item() == pytest.approx(0, abs=1e-12)
    given["student_logits"] = torch.zeros(4, 9)
    with pytest.raises(ValueError, match="want two"):
        call(name, given)


def test_gradient_of_kd_at_high_temperature_is_the_logit_difference() -> None:
    given = signals()
    call("kd", given, temperature=1e4).backward()
    z_s, z_t = (given[f"{who}_logits"].detach() for who in ("student", "teacher"))
    want = ((z_s - z_s.mean(1, keepdim=True)) - (z_t - z_t.mean(1, keepdim=True))) / 10 / 4
    gradient = given["student_logits"].grad
    assert gradient is not None
    assert torch.allclose(gradient, want, rtol=1e-3, atol=2e-5)


def test_cross_entropy_of_probabilities_is_that_of_their_class() -> None:
    given = signals()
    hard = call("cross-entropy", given)
    given["labels"] = torch.eye(10, dtype=torch.float64)[given["labels"]]
    assert call("cross-entropy", given).item() == pytest.approx(hard.item(), rel=1e-12)
