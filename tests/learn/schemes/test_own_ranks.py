"""Soft labels of the student's own making, against the same written out sample by sample."""

from __future__ import annotations

import math

import pytest
import torch

from edgekd.learn.schemes.own_ranks import ranked_term
from edgekd.learn.schemes.own_ranks import target_term
from edgekd.learn.schemes.own_ranks import uskd
from tests.learn.schemes import online_example as example

torch.manual_seed(8)
LOGITS, WEAK = torch.randn(2, 5, 6, dtype=torch.float64) * 2
LABELS = torch.tensor([0, 5, 2, 2, 3])


def test_target_by_hand() -> None:
    p = LOGITS.exp()[range(5), LABELS] / LOGITS.exp().sum(1)
    mean = sum(float(x) ** 2 for x in p) / 5
    want = -sum((1 + float(x) ** 2 - mean) * math.log(x) for x in p) / 5
    assert target_term(LOGITS, LABELS).item() == pytest.approx(want, rel=1e-9)


def test_the_soft_target_is_not_differentiated() -> None:
    logits = LOGITS.clone().requires_grad_()
    (found,) = torch.autograd.grad(target_term(logits, LABELS), logits)
    p = torch.softmax(LOGITS, 1)
    own = p.gather(1, LABELS[:, None])
    wanted = (1 + own**2 - (own**2).mean()) * (p - torch.eye(6, dtype=p.dtype)[LABELS]) / 5
    assert torch.allclose(found, wanted)


def test_ranked_by_hand() -> None:
    want = 0.0
    for strong, weak, label in zip(LOGITS.tolist(), WEAK.tolist(), LABELS.tolist(), strict=True):
        others = [c for c in range(6) if c != label]
        sums = [sum(math.exp(row[c]) for c in others) for row in (strong, weak)]
        likely = {c: math.exp(strong[c]) / sums[0] + math.exp(weak[c]) / sums[1] for c in others}
        ranking = sorted(others, key=lambda c: -likely[c])
        harmonic = sum(1 / rank for rank in range(1, 6))
        for rank, c in enumerate(ranking, start=1):
            want -= math.log(math.exp(strong[c]) / sums[0]) / rank / harmonic / 5
    assert ranked_term(LOGITS, WEAK, LABELS).item() == pytest.approx(want, rel=1e-9)


def test_ranks_move_the_student_alone_and_not_its_labelled_class() -> None:
    logits, weak = LOGITS.clone().requires_grad_(), WEAK.clone().requires_grad_()
    ranked_term(logits, weak, LABELS).backward()
    assert weak.grad is None
    assert logits.grad is not None
    assert not logits.grad.gather(1, LABELS[:, None]).any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_finite_at_extremes(dtype: torch.dtype) -> None:
    size = 1e4
    logits = (LOGITS.clamp(-6, 6) * size).to(dtype).requires_grad_()
    value = target_term(logits, LABELS) + ranked_term(logits, logits, LABELS)
    value.backward()
    assert logits.grad is not None
    assert value.dtype == torch.float32 and bool(value.isfinite())
    assert bool(logits.grad.isfinite().all())


def test_the_scheme_s_terms_and_weights() -> None:
    student, seen = example.network().eval(), example.first()
    stages = example.KINDS["maps"].stages
    scheme = uskd(student, example.samples(), stages, example.CPU, alpha=2.0, beta=3.0, mu=0.5)
    (lesson,) = scheme.lessons(student, seen)
    logits = student(*seen.inputs)
    hidden = student.relu(student.bn1(student.conv1(seen.inputs[0])))
    weak = scheme.companions["weak"](student.layer2(student.layer1(hidden)).mean((2, 3)))
    smooth = 0.9 * torch.eye(4)[seen.targets["labels"]] + 0.1 / 4
    want = {
        "target": 2 * target_term(logits, seen.targets["labels"]),
        "ranked": 3 * ranked_term(logits, weak, seen.targets["labels"]),
        "weak": -0.5 * (smooth * weak.log_softmax(1)).sum(1).mean(),
    }
    assert lesson.own.keys() == want.keys()
    for name, value in want.items():
        assert lesson.own[name].item() == pytest.approx(value.item(), rel=1e-5)
    assert "teacher_logits" not in lesson.signals
