"""Relation losses against values of the public reference functions named in golden.json, in float64.

Inputs, k row-major from 0: features sin(.37 k) and cos(.23 k) + .5 sin(.11 k), shape (4, 6, 4, 4); embeddings
their spatial means; logits 2 sin(1 + k) and 3 cos(k / 2), shape (4, 10). Two stages are the two halves of the
channels. The gradient is compared by its norm and along cos(.37 k + .2), over all tensors it is taken of.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from edgekd.learn.losses.relation import LOSSES
from edgekd.table import find_signature

GOLDEN: list[dict[str, Any]] = json.loads(Path(__file__).with_name("golden.json").read_text())
WITHOUT_REFERENCE = {"semckd", "crd"}
"""Trained beside the student: tests/learn/companions has slow versions of them."""
ACROSS_SAMPLES = ["rkd", "sp", "cc", "cc-taylor", "pkt", "irg", "skd-direction"]
KINDS = ("logits", "features", "embedding")

K = torch.arange(384, dtype=torch.float64)


def signals() -> dict[str, Any]:
    student = torch.sin(0.37 * K).reshape(4, 6, 4, 4)
    teacher = (torch.cos(0.23 * K) + 0.5 * torch.sin(0.11 * K)).reshape(4, 6, 4, 4)
    given: dict[str, Any] = {
        "student_features": student,
        "teacher_features": teacher,
        "student_embedding": student.mean((2, 3)),
        "teacher_embedding": teacher.mean((2, 3)),
        "student_logits": (2 * torch.sin(1 + K[:40])).reshape(4, 10),
        "teacher_logits": (3 * torch.cos(K[:40] / 2)).reshape(4, 10),
    }
    return staged({name: value.clone().requires_grad_() for name, value in given.items()})


def staged(given: dict[str, Any]) -> dict[str, Any]:
    for who in ("student", "teacher"):
        given[f"{who}_stages"] = given[f"{who}_features"].chunk(2, dim=1)
    return given


def each(given: dict[str, Any], change: Any) -> dict[str, Any]:
    return staged({k: change(v.detach()) for k, v in given.items() if isinstance(v, Tensor)})


def call(name: str, given: dict[str, Any], **knobs: Any) -> Tensor:
    member = LOSSES[name]
    value: Tensor = member.load()(*(given[s] for s in find_signature(member).positional), **knobs)
    return value


@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: f"{c['loss']} {c['knobs']}")
def test_value_and_gradient_are_the_reference_s(case: dict[str, Any]) -> None:
    given = signals()
    value = call(case["loss"], given, **case["knobs"])
    value.backward()
    grads = [given[name].grad.flatten() for name in case["with_respect_to"]]
    assert value.item() == pytest.approx(case["value"], rel=1e-9)
    assert torch.cat(grads).norm().item() == pytest.approx(case["l2"], rel=1e-6)
    along = sum((g * torch.cos(0.37 * K[: len(g)] + 0.2)).sum().item() for g in grads)
    assert along == pytest.approx(case["directional"], rel=1e-6)
    assert all(given[f"teacher_{kind}"].grad is None for kind in KINDS)


def test_every_loss_has_a_reference_value() -> None:
    assert {case["loss"] for case in GOLDEN} == set(LOSSES) - WITHOUT_REFERENCE


@pytest.mark.parametrize("name", sorted(set(LOSSES) - WITHOUT_REFERENCE))
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_finite_at_extremes_and_in_half_precision(name: str, dtype: torch.dtype) -> None:
    size = 1e4 if dtype != torch.float16 else 1e2
    given = each(signals(), lambda v: (v * size).to(dtype).requires_grad_())
    value = call(name, given)
    value.backward()
    assert value.dtype == torch.float32
    assert bool(value.isfinite())
    reached = [v.grad for v in given.values() if isinstance(v, Tensor) and v.grad is not None]
    assert reached and all(bool(grad.isfinite().all()) for grad in reached)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - WITHOUT_REFERENCE))
def test_half_precision_is_near_double(name: str) -> None:
    given = signals()
    rounded = each(given, lambda v: v.half())
    assert call(name, rounded).item() == pytest.approx(call(name, given).item(), rel=2e-2)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - WITHOUT_REFERENCE))
@pytest.mark.parametrize("only", ["student", ""])
def test_finite_where_all_is_zero(name: str, only: str) -> None:
    """A rehearsal is on zeros; a student may be, too."""
    given = signals()
    for key in list(given):
        if key.startswith(only) and isinstance(given[key], Tensor):
            given[key] = torch.zeros_like(given[key]).requires_grad_()
    staged(given)
    value = call(name, given)
    value.backward()
    reached = [v.grad for v in given.values() if isinstance(v, Tensor) and v.grad is not None]
    assert bool(value.isfinite())
    assert reached and all(grad.abs().max().item() < 1e4 for grad in reached)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - WITHOUT_REFERENCE - {"cc"}))
def test_the_order_of_the_batch_does_not_matter(name: str) -> None:
    given, order = signals(), torch.tensor([2, 0, 3, 1])
    turned = each(given, lambda v: v[order])
    assert call(name, turned).item() == pytest.approx(call(name, given).item(), rel=1e-10)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - WITHOUT_REFERENCE))
def test_a_copy_of_the_teacher_has_nothing_to_learn(name: str) -> None:
    given = signals()
    for kind in KINDS:
        given[f"student_{kind}"] = given[f"teacher_{kind}"].detach().clone().requires_grad_()
    value = call(name, staged(given))
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-12)
    reached = [v.grad for k, v in given.items() if k.startswith("student") and k[-3:] != "ges"]
    # PKT adds 1e-7 to probabilities, but not to those it weighs them with.
    most = 1e-6 if name == "pkt" else 1e-9
    assert all(grad is None or grad.abs().max().item() < most for grad in reached)


@pytest.mark.parametrize("name", ACROSS_SAMPLES)
def test_one_sample_has_nothing_to_be_compared_with(name: str) -> None:
    with pytest.raises(ValueError, match=r"got a batch of 1, want \d samples or more"):
        call(name, each(signals(), lambda v: v[:1]))


@pytest.mark.parametrize("name", sorted(set(LOSSES) - WITHOUT_REFERENCE))
def test_batches_that_differ_are_refused(name: str) -> None:
    given = signals()
    for kind in KINDS:
        given[f"student_{kind}"] = given[f"student_{kind}"][:3]
    with pytest.raises(ValueError, match=r"want .*got"):
        call(name, staged(given))
