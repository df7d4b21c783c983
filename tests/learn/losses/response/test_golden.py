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

from edgekd.learn.losses import response
from edgekd.table import find_signature

WITHOUT = {"binary-cross-entropy", "binary-kd", "ctkd", "defensive", "ttm", "wttm"}
"""No reference gives values of these: test_binary.py, test_more.py and
test_defensive.py hold them to their formulas."""
LOSSES = {name: member for name, member in response.LOSSES.items() if name not in WITHOUT}
GOLDEN: list[dict[str, Any]] = json.loads(Path(__file__).with_name("golden.json").read_text())
K = torch.arange(40, dtype=torch.float64)


def signals() -> dict[str, torch.Tensor]:
    return {
        "student_logits": (2 * torch.sin(1 + K)).reshape(4, 10).requires_grad_(),
        "teacher_logits": (3 * torch.cos(K / 2)).reshape(4, 10).requires_grad_(),
        "labels": torch.tensor([1, 4, 7, 0]),
        "label_indices": torch.tensor([1, 4, 7, 0]),
    }


def call(name: str, given: dict[str, torch.Tensor], **knobs: float) -> torch.Tensor:
    member = LOSSES[name]
    return member.load()(*(given[s] for s in find_signature(member).positional), **knobs)


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


@pytest.mark.parametrize("name", ["kd", "logit-mse", "deit-soft", "dkd", "dist", "mlkd"])
def test_zero_at_a_copy_and_shapes_refused(name: str) -> None:
    given = signals()
    given["student_logits"] = given["teacher_logits"]
    rounded = 1e-6 if name == "dist" else 1e-12  # it adds 1e-8 to a product of norms
    assert call(name, given).item() == pytest.approx(0, abs=rounded)
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


def test_dkd_is_kd_where_the_others_weigh_what_the_teacher_leaves_them() -> None:
    given = signals()
    for row in range(4):
        one = {name: value[row : row + 1] for name, value in given.items()}
        left = 1 - torch.softmax(one["teacher_logits"] / 4, 1)[0, one["labels"][0]].item()
        parted = call("dkd", one, alpha=1.0, beta=left, temperature=4.0)
        assert parted.item() == pytest.approx(call("kd", one, temperature=4.0).item(), rel=1e-12)


def test_ofa_without_enhancement_is_the_cross_entropy_of_soft_targets() -> None:
    given = signals()
    wanted = torch.softmax(given["teacher_logits"], 1)
    plain = -(wanted * torch.log_softmax(given["student_logits"], 1)).sum(1).mean()
    assert call("ofa", given, exponent=1.0).item() == pytest.approx(plain.item(), rel=1e-12)


def test_wsld_leaves_alone_what_the_student_has_learned() -> None:
    given = signals()
    labels = torch.nn.functional.one_hot(given["labels"], 10).double()
    given["student_logits"] = (60 * labels).requires_grad_()  # its own cross-entropy is nothing
    assert call("wsld", given).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", ["dkd", "nkd"])
def test_two_classes_have_no_others_to_compare(name: str) -> None:
    given = {k: v[:, :2] if v.ndim == 2 else v.clamp(max=1) for k, v in signals().items()}
    with pytest.raises(ValueError, match="got 2 classes, want at least 3"):
        call(name, given)


@pytest.mark.parametrize("name", ["dkd", "nkd", "wsld", "ofa"])
def test_labels_that_are_no_class_are_refused(name: str) -> None:
    given = signals()
    given["label_indices"] = torch.eye(10, dtype=torch.float64)[given["labels"]]
    with pytest.raises(ValueError, match=r"want \[B, C\] and \[B\]"):
        call(name, given)


def test_one_sample_has_nothing_across_it() -> None:
    with pytest.raises(ValueError, match="batch of 1"):
        call("dist", {name: value[:1] for name, value in signals().items()})
