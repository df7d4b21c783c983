"""Other libraries' forms of the same ideas, as expressions of ours; values of their own code, in float64.

Inputs as in test_golden.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.losses import LOSSES
from edgekd.learn.losses.response.multi_level import across_classes
from edgekd.learn.losses.response.multi_level import across_samples
from edgekd.learn.losses.response.soft_targets import deit_soft
from edgekd.learn.losses.response.soft_targets import kd
from edgekd.learn.method import loss
from edgekd.learn.settings import Term
from edgekd.named_member import NamedMember

WANT = json.loads(Path(__file__).with_name("forms.json").read_text())
K = torch.arange(40, dtype=torch.float64)
TEACHER = (3 * torch.cos(K / 2)).reshape(4, 10)
LABELS = torch.tensor([1, 4, 7, 0])
T = 4.0


def computed(logits: Tensor, *terms: Term) -> Tensor:
    signals = {"student_logits": logits, "teacher_logits": TEACHER, "labels": LABELS}
    return loss.compute(loss.bind_terms(terms), signals)[0]


def term(name: str, weight: float = 1.0, **more: float) -> Term:
    standardize = bool(more.pop("standardize", False))
    named = NamedMember.parse({"name": name, **more}, LOSSES, "loss")
    return Term(loss=named, weight=weight, standardize=standardize)


def softened(logits: Tensor) -> Tensor:
    return F.softmax(logits / T, 1)


def entropy(p: Tensor) -> Tensor:
    return -(p * p.log()).sum(1).mean()


FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "kd_elementwise_mean": lambda z: deit_soft(z, TEACHER, temperature=T),
    "kd_batchmean_no_t2": lambda z: kd(z, TEACHER, temperature=T) / T**2,
    "kd_ce_mix": lambda z: computed(z, term("cross-entropy", 0.1), term("kd", 0.9)),
    "soft_cross_entropy": lambda z: (
        kd(z, TEACHER, temperature=T) / T**2 + entropy(softened(TEACHER))
    ),
    "logit_standardised_kd": lambda z: computed(z, term("kd", temperature=2.0, standardize=True)),
    "mlkd_batch": lambda z: across_samples(softened(z), softened(TEACHER)),
    "mlkd_class": lambda z: across_classes(softened(z), softened(TEACHER)),
}


@pytest.mark.parametrize("form", WANT)
def test_value_and_gradient_are_the_reference_s(form: str) -> None:
    logits = (2 * torch.sin(1 + K)).reshape(4, 10).requires_grad_()
    value = FORMS[form](logits)
    (gradient,) = torch.autograd.grad(value, logits)
    assert value.item() == pytest.approx(WANT[form]["value"], rel=1e-9)
    assert gradient.norm().item() == pytest.approx(WANT[form]["l2"], rel=1e-6)
    along = (gradient.flatten() * torch.cos(0.37 * K + 0.2)).sum().item()
    assert along == pytest.approx(WANT[form]["directional"], rel=1e-6)


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_standardized_logits_forget_scale_and_shift(scale: float) -> None:
    logits = torch.randn(4, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    terms = (term("kd", temperature=2.0, standardize=True),)
    assert computed(scale * logits + 7, *terms).item() == pytest.approx(
        computed(logits, *terms).item(), rel=1e-6
    )


def test_even_logits_have_a_gradient_that_is_a_number() -> None:
    logits = torch.zeros(4, 10, requires_grad=True)
    computed(logits, term("kd", standardize=True)).backward()
    assert logits.grad is not None and bool(logits.grad.isfinite().all())
