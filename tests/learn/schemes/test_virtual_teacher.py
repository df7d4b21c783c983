"""The designed teacher: its probabilities, and label smoothing as its special case."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from edgekd.learn.schemes.virtual_teacher import tf_kd
from edgekd.learn.schemes.virtual_teacher import virtual_logits
from tests.learn.schemes import online_example as example


def test_the_logits_times_the_temperature_are_the_designed_probabilities() -> None:
    told = virtual_logits(torch.tensor([2, 0]), 5, 0.96, 20.0)
    want = torch.full((2, 5), 0.01)
    want[0, 2] = want[1, 0] = 0.96
    assert torch.allclose(torch.softmax(20 * told, 1), want, atol=1e-6)
    softened = want ** (1 / 20) / (want ** (1 / 20)).sum(1, keepdim=True)
    assert torch.allclose(torch.softmax(told, 1), softened, atol=1e-6)


def test_the_scheme_s_teacher_knows_the_labels() -> None:
    seen = example.first()
    (lesson,) = tf_kd(example.samples(), correct=0.9, temperature=3.0).lessons(
        example.network(), seen
    )
    told = torch.softmax(3 * lesson.signals["teacher_logits"], 1)
    assert torch.equal(told.argmax(1), seen.targets["labels"])
    assert torch.allclose(told.amax(1), torch.full((example.BATCH,), 0.9), atol=1e-6)
    assert torch.allclose(told.amin(1), torch.full((example.BATCH,), 0.1 / 3), atol=1e-6)


def test_without_temperatures_it_is_label_smoothing() -> None:
    logits = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    labels, smoothing = torch.tensor([0, 1, 2, 3, 4, 0]), 0.2
    told = virtual_logits(labels, 5, 1 - smoothing + smoothing / 5, 1.0)
    (one,) = torch.autograd.grad(example.kd(logits, told.double(), 1.0), logits)
    smoothed = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    (other,) = torch.autograd.grad(smoothed, logits)
    assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("correct", [0.0, 0.25, 1.0])
def test_a_teacher_without_knowledge_or_doubt_is_refused(correct: float) -> None:
    with pytest.raises(ValueError, match="correct: got .*, want between 1/4 and 1"):
        tf_kd(example.samples(), correct=correct)


def test_the_authors_code_softens_probabilities() -> None:
    """softmax(u / T) of the designed probabilities u: at T = 20 all but uniform, whatever u is."""
    told = torch.softmax(virtual_logits(torch.tensor([1]), 4, 0.99, 20.0, "probabilities"), 1)[0]
    other = math.exp(0.01 / 3 / 20)
    want = math.exp(0.99 / 20) / (math.exp(0.99 / 20) + 3 * other)
    assert told[1].item() == pytest.approx(want, rel=1e-6)
    assert told.tolist() == pytest.approx([0.25] * 4, abs=0.01)
    scheme = tf_kd(example.samples(), correct=0.99, temperature=20.0, soften="probabilities")
    (lesson,) = scheme.lessons(example.network(), example.first())
    assert float(lesson.signals["teacher_logits"].max()) == pytest.approx(0.99 / 20)
