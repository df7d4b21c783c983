"""Every loss over tokens leaves out those without a label, where a recipe says so."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from pydantic import ValidationError

from edgekd.errors import InputError
from edgekd.learn.losses.language import LOSSES
from edgekd.learn.method.loss import BoundTerm
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.method.loss import compute
from edgekd.learn.settings import Losses

READ = TypeAdapter(Losses)
LABELS = torch.tensor([[3, -100, 0], [-1, 5, -100]])


def signals(labels: torch.Tensor = LABELS) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(2, 3, 7, generator=generator) for _ in range(2))
    return {
        "student_logits": student.requires_grad_(),
        "teacher_logits": teacher,
        "labels": labels,
        "label_indices": labels,
    }


def value(name: str, given: dict[str, torch.Tensor], **words: Any) -> torch.Tensor:
    total, _ = compute(bind_terms(READ.validate_python(({"name": name, **words},))), given)
    return total


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_it_is_the_loss_of_the_tokens_that_have_a_label(name: str) -> None:
    given, chosen = signals(), LABELS >= 0
    left = {key: tensor[chosen] for key, tensor in given.items()}
    masked = value(name, given, labelled_only=True)
    assert masked.item() == pytest.approx(value(name, left).item(), rel=1e-6)
    masked.backward()
    gradient = given["student_logits"].grad
    assert gradient is not None
    assert bool((gradient[~chosen] == 0).all()) and bool((gradient[chosen].norm(dim=-1) > 0).all())


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_prompts_alone_teach_nothing(name: str) -> None:
    given = signals(torch.full((2, 3), -100))
    none = value(name, given, labelled_only=True)
    none.backward()
    assert none.item() == 0 and not given["student_logits"].grad.any()


def test_no_loss_needs_to_know_what_a_mean_over_no_tokens_is() -> None:
    given = signals(torch.full((2, 3), -100))
    given["teacher_logits"][0, 0, 0] = float("inf")
    needs = ("student_logits", "teacher_logits", "label_indices")
    term = BoundTerm("mean", 1.0, needs, lambda s, t, i: (s - t).mean(), labelled_only=True)
    none = term.value(given)
    none.backward()
    assert none.item() == 0 and none.ndim == 0
    gradient = given["student_logits"].grad
    assert gradient is not None and not gradient.any()


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"mft"}))
def test_all_tokens_count_where_nothing_is_said(name: str) -> None:
    given = signals()
    value(name, given).backward()
    assert bool((given["student_logits"].grad.norm(dim=-1) > 0).all())


def test_what_has_no_tokens_or_no_labels_is_refused() -> None:
    with pytest.raises(
        ValidationError, match="labelled_only: got it for 'kd', which is no loss over"
    ):
        READ.validate_python(({"name": "kd", "labelled_only": True},))
    given = signals()
    del given["label_indices"]
    with pytest.raises(InputError, match="labelled_only: got no label_indices from this scheme"):
        value("jsd", given, labelled_only=True)
    with pytest.raises(ValueError, match="want labels of the same tokens"):
        value("jsd", signals(torch.zeros(3, dtype=torch.int64)), labelled_only=True)
