"""Each language loss against values of the public reference functions named in golden.json, in float64.

Inputs: student logits 2 sin(1 + k), teacher logits 3 cos(k / 2), four tokens of ten classes, k row-major
from 0; labels 1, 4, 7, 0. `masked` leaves out the second token. `entropy` is how much of the teacher's
entropy the reference leaves out of what it calls a KL. The gradient is compared by its norm and along
cos(.37 k + .2).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from edgekd.learn.losses.language import LOSSES
from edgekd.table import find_signature

GOLDEN: list[dict[str, Any]] = json.loads(Path(__file__).with_name("golden.json").read_text())
K = torch.arange(40, dtype=torch.float64)
PLAIN = sorted(set(LOSSES) - {"mft", "uld"})


def signals(*shape: int) -> dict[str, torch.Tensor]:
    shape = shape or (4, 10)
    return {
        "student_logits": (2 * torch.sin(1 + K)).reshape(shape).requires_grad_(),
        "teacher_logits": (3 * torch.cos(K / 2)).reshape(shape).requires_grad_(),
        "label_indices": torch.tensor([1, 4, 7, 0]).reshape(shape[:-1]),
    }


def call(name: str, given: dict[str, torch.Tensor], **knobs: float) -> torch.Tensor:
    member = LOSSES[name]
    value = member.load()(*(given[s] for s in find_signature(member).positional), **knobs)
    assert isinstance(value, torch.Tensor)
    return value


def entropy(logits: torch.Tensor) -> float:
    probabilities = torch.softmax(logits.detach(), -1)
    return float(-(probabilities * probabilities.log()).sum(-1).mean())


@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: f"{c['loss']} {c['knobs']} {c['entropy']}")
def test_value_and_gradient_are_the_reference_s(case: dict[str, Any]) -> None:
    leaves = signals(2, 2, 10)
    given = leaves
    if case["masked"]:
        kept = torch.tensor([[True, False], [True, True]])
        given = {name: value[kept] for name, value in leaves.items()}
    value = call(case["loss"], given, **case["knobs"])
    value.backward()
    gradient = leaves["student_logits"].grad
    assert gradient is not None
    full = value.item() + case["entropy"] * entropy(given["teacher_logits"])
    assert full == pytest.approx(case["value"], rel=1e-9)
    assert gradient.norm().item() == pytest.approx(case["l2"], rel=1e-6)
    along = (gradient.flatten() * torch.cos(0.37 * K + 0.2)).sum().item()
    assert along == pytest.approx(case["directional"], rel=1e-6)
    assert leaves["teacher_logits"].grad is None


def test_the_entropy_that_references_leave_out_is_the_teacher_s() -> None:
    """So that the two forms of the golden file differ by the right thing."""
    assert entropy(signals()["teacher_logits"]) == pytest.approx(1.5043669388, abs=1e-10)


def test_every_loss_but_uld_has_a_reference_value() -> None:
    assert {case["loss"] for case in GOLDEN} == set(LOSSES) - {"uld"}


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_teacher_learns_nothing_and_no_input_is_written(name: str) -> None:
    given = signals()
    call(name, given).backward()
    assert given["student_logits"].grad is not None
    assert given["teacher_logits"].grad is None
    for key, value in signals().items():
        assert torch.equal(given[key], value)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_finite_at_extremes_and_in_half_precision(name: str, dtype: torch.dtype) -> None:
    knobs = {"top": 3} if name.startswith("sparse") else {}
    given = {
        k: (v.detach() * 1e4).to(dtype).requires_grad_() if v.is_floating_point() else v
        for k, v in signals().items()
    }
    value = call(name, given, **knobs)
    value.backward()
    assert value.dtype == torch.float32
    assert bool(value.isfinite())
    gradient = given["student_logits"].grad
    assert gradient is not None
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_neither_the_order_nor_the_axes_of_tokens_matter(name: str) -> None:
    given, order = signals(), torch.tensor([2, 0, 3, 1])
    want = pytest.approx(call(name, given).item(), rel=1e-12)
    assert call(name, {k: v[order] for k, v in given.items()}).item() == want
    assert call(name, signals(2, 2, 10)).item() == want


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_no_token_costs_nothing(name: str) -> None:
    given = {k: v.detach()[:0].requires_grad_(k == "student_logits") for k, v in signals().items()}
    value = call(name, given)
    value.backward()
    assert value.item() == 0


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_logits_may_be_shifted_and_come_in_any_precision(name: str, size: float) -> None:
    given = {k: v.detach() * size if v.is_floating_point() else v for k, v in signals().items()}
    want = pytest.approx(call(name, given).item(), rel=1e-4)
    moved = {k: (v + 7).float() if v.is_floating_point() else v for k, v in given.items()}
    assert call(name, moved).item() == want


@pytest.mark.parametrize("name", PLAIN)
def test_zero_at_a_copy_where_nothing_is_to_be_learned(name: str) -> None:
    given = signals()
    given["student_logits"] = given["teacher_logits"].detach().clone().requires_grad_()
    value = call(name, given)
    value.backward()
    gradient = given["student_logits"].grad
    assert value.item() == pytest.approx(0, abs=1e-12)
    assert gradient is not None
    if name not in ("total-variation", "sparse-tv"):  # they have a kink there
        assert gradient.abs().max().item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", PLAIN)
def test_a_step_against_the_gradient_brings_the_student_nearer(name: str) -> None:
    given = signals()
    before = call(name, given)
    (gradient,) = torch.autograd.grad(before, given["student_logits"])
    given["student_logits"] = given["student_logits"].detach() - 0.1 * gradient
    assert call(name, given).item() < before.item()


@pytest.mark.parametrize("name", [*PLAIN, "mft"])
def test_a_temperature_divides_logits_and_multiplies_by_its_square(name: str) -> None:
    given = signals()
    softer = {k: v / 3 if v.is_floating_point() else v for k, v in given.items()}
    want = 9 * call(name, softer).item()
    assert call(name, given, temperature=3.0).item() == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("name", PLAIN)
def test_the_gradient_keeps_its_size_when_the_temperature_changes(name: str) -> None:
    """Of all but total variation, which falls as 1 / T and not as its square."""
    norms = []
    for temperature in (50.0, 100.0):
        given = signals()
        call(name, given, temperature=temperature).backward()
        gradient = given["student_logits"].grad
        assert gradient is not None
        norms.append(gradient.norm().item())
    growth = 2 if name in ("total-variation", "sparse-tv") else 1
    assert norms[1] / norms[0] == pytest.approx(growth, rel=0.05)


@pytest.mark.parametrize("name", PLAIN)
def test_other_shapes_are_refused(name: str) -> None:
    for shape in ((4, 9), (3, 10), (1, 4, 10)):
        given = signals() | {"student_logits": torch.zeros(shape)}
        with pytest.raises(ValueError, match="want two"):
            call(name, given)
