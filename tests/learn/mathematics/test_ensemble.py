"""Teachers taken together, against slow sums and cases by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.losses.response.soft_targets import kd
from edgekd.learn.mathematics.ensemble import RULES
from edgekd.learn.mathematics.ensemble import TeacherWeights
from edgekd.learn.mathematics.ensemble import blend

MIXTURES = sorted(set(RULES) - {"mean-logits"})
LABELS = torch.tensor([0, 2, 4, 1])


def teachers(count: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    k = torch.arange(count * 20, dtype=torch.float64)
    return (4 * torch.sin(1 + k**1.3)).reshape(count, 4, 5).to(dtype)


def weights(rule: str, logits: Tensor) -> list[list[float]]:
    """Weights [B][K], sample by sample, in plain arithmetic."""
    rows = []
    for sample, label in enumerate(LABELS.tolist()):
        raw = []
        for teacher in logits[:, sample].tolist():
            total = sum(math.exp(z) for z in teacher)
            p = [math.exp(z) / total for z in teacher]
            entropy = -sum(x * math.log(x) for x in p)
            raw.append({"entropy": math.exp(-entropy), "confidence": 1 / p[label]}.get(rule, 1.0))
        share = [x / sum(raw) for x in raw]
        rows.append([(1 - x) / (len(raw) - 1) for x in share] if rule == "confidence" else share)
    return rows


@pytest.mark.parametrize("rule", MIXTURES)
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_softmax_at_the_temperature_is_the_weighted_mean(rule: str, temperature: float) -> None:
    logits = teachers()
    given = F.softmax(RULES[rule](logits, LABELS, temperature) / temperature, 1)
    for sample, row in enumerate(weights(rule, logits)):
        softened = [F.softmax(z / temperature, 0) for z in logits[:, sample]]
        want = sum(w * p for w, p in zip(row, softened, strict=True))
        assert torch.allclose(given[sample], torch.as_tensor(want), rtol=1e-10)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_teachers_who_agree_give_their_very_logits(rule: str) -> None:
    one = teachers(1)[0]
    told = RULES[rule](torch.stack([one, one, one]), LABELS, 4.0)
    assert torch.allclose(told, one, rtol=1e-12, atol=1e-12)
    assert torch.allclose(RULES[rule](one.unsqueeze(0), LABELS, 4.0), one, rtol=1e-12, atol=1e-12)


def test_means_of_logits_and_of_probabilities_are_two_things() -> None:
    logits = torch.tensor([[[math.log(9), 0.0]], [[0.0, 0.0]]])
    told = {name: F.softmax(RULES[name](logits, None, 1.0), 1)[0, 0].item() for name in MEANS}
    assert told == pytest.approx({"mean-logits": 0.75, "mean-probabilities": 0.7})


MEANS = ("mean-logits", "mean-probabilities")


def test_entropy_by_hand() -> None:
    """Of one sure of a class and one sure of nothing among 4, the first counts 4 times as much."""
    logits = torch.tensor([[[60.0, 0, 0, 0]], [[0.0, 0, 0, 0]]], dtype=torch.float64)
    told = F.softmax(RULES["entropy"](logits, None, 1.0), 1)[0]
    assert told.tolist() == pytest.approx([0.85, 0.05, 0.05, 0.05])


def test_confidence_by_hand() -> None:
    """p(y) of 3/4 and 1/4: exp(CE) 4/3 and 4, its shares 1/4 and 3/4, so the weights 3/4 and 1/4."""
    logits = torch.tensor([[[math.log(3), 0.0]], [[0.0, math.log(3)]]])
    label = torch.tensor([0])
    told = F.softmax(RULES["confidence"](logits, label, 1.0), 1)[0, 0].item()
    assert told == pytest.approx(0.75 * 0.75 + 0.25 * 0.25)
    as_probabilities = RULES["confidence"](logits, torch.tensor([[1.0, 0.0]]), 1.0)
    assert F.softmax(as_probabilities, 1)[0, 0].item() == pytest.approx(told)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_order_of_the_teachers_does_not_matter(rule: str) -> None:
    logits = teachers()
    turned = RULES[rule](logits[[2, 0, 1]], LABELS, 4.0)
    assert torch.allclose(turned, RULES[rule](logits, LABELS, 4.0), rtol=1e-12, atol=1e-12)


def test_kd_from_the_mixture_moves_the_student_as_the_mean_of_kd_from_each() -> None:
    student = torch.cos(torch.arange(20, dtype=torch.float64)).reshape(4, 5).requires_grad_()
    told = RULES["mean-probabilities"](teachers(), None, 4.0)
    (together,) = torch.autograd.grad(kd(student, told), student)
    each = torch.stack([kd(student, one) for one in teachers()]).mean()
    (apart,) = torch.autograd.grad(each, student)
    assert torch.allclose(together, apart, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_finite_at_extremes_and_in_half_precision(rule: str, dtype: torch.dtype) -> None:
    told = RULES[rule](teachers(dtype=dtype) * 2500, LABELS, 4.0)
    assert told.dtype == torch.float32
    assert bool(told.isfinite().all())


@pytest.mark.parametrize("rule", sorted(RULES))
def test_no_teacher_is_refused(rule: str) -> None:
    flat = torch.zeros(4) if rule == "mean-logits" else torch.zeros(4, 5)
    for wrong in (torch.zeros(0, 4, 5), flat):
        with pytest.raises(ValueError, match="at least one teacher"):
            RULES[rule](wrong, LABELS, 4.0)


def test_what_does_not_fit_is_refused() -> None:
    for labels in (None, LABELS[:3]):
        with pytest.raises(ValueError, match="labels of B"):
            RULES["confidence"](teachers(), labels, 4.0)
    with pytest.raises(ValueError, match=r"want \[K, B, C\] and \[K, B\]"):
        blend(teachers(), torch.zeros(4, 3), 4.0)
    with pytest.raises(ValueError, match="temperature > 0"):
        RULES["entropy"](teachers(), None, 0.0)


def test_a_teacher_of_no_weight_is_left_out() -> None:
    logits = teachers(2)
    told = blend(logits, torch.tensor([[0.0] * 4, [-math.inf] * 4]).double(), 4.0)
    assert torch.allclose(told, logits[0], rtol=1e-12, atol=1e-12)


@pytest.mark.trains
def test_weights_are_equal_at_first_and_learn_who_knows_what() -> None:
    torch.manual_seed(0)
    labels = torch.arange(40) % 4
    right = F.one_hot(labels, 4).float() * 4
    blind = torch.zeros(40, 4)
    first = (labels < 2).unsqueeze(1)
    told = torch.stack([torch.where(first, right, blind), torch.where(first, blind, right)])
    representation = (right + 0.1 * torch.randn(40, 4)).requires_grad_()
    weighing = TeacherWeights(4, 2)
    assert torch.allclose(weighing(representation).exp(), torch.full((2, 40), 0.5))
    optimizer = torch.optim.SGD(weighing.parameters(), lr=1.0)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(blend(told, weighing(representation), 1.0), labels).backward()
        optimizer.step()
    learned = weighing(representation).exp()
    assert torch.allclose(learned.sum(0), torch.ones(40))
    assert bool((learned[0][labels < 2] > 0.9).all())
    assert bool((learned[1][labels >= 2] > 0.9).all())
    assert representation.grad is None
