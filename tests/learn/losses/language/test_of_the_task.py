"""Losses of language models as the task gives them: logits of the places that count, values of the reference."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from edgekd.interface import BATCH
from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.learn.losses import FAMILIES
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.method.named_outputs import find_keys
from edgekd.learn.method.named_outputs import name_outputs
from edgekd.learn.settings import Term
from edgekd.learn.signals import needs
from edgekd.named_member import NamedMember

GOLDEN = json.loads((Path(__file__).parents[3] / "tasks" / "language_golden.json").read_text())
SHAPE = (BATCH, "text_length")
ENDS = Interface(
    (
        Tensor("text", "int64", SHAPE, "index", below=11),
        Tensor("text_mask", "int64", SHAPE, "mask"),
    ),
    (Tensor("logits", "float32", (*SHAPE, 11), "logits", 0, 2, "next_tokens"),),
    (Axis(BATCH), Axis("text_length", 1, 4, 8)),
)
LOSS_OF = {
    "lm_ce": ({"name": "cross-entropy"}, 1),
    "lm_forward_kl": ({"name": "forward-kl"}, 1),
    "lm_reverse_kl": ({"name": "reverse-kl"}, 1),
    "lm_gjsd": ({"name": "jsd", "beta": 0.5, "temperature": 0.9}, 0.81),
    "lm_skew_forward_kl": ({"name": "skewed-forward-kl"}, 1),
    "lm_skew_reverse_kl": ({"name": "skewed-reverse-kl"}, 1),
    "lm_tvd": ({"name": "total-variation"}, 1),
    "lm_topk_tail": ({"name": "sparse-kl", "top": 3}, 1),
}
"""Of each key of the reference: the loss, and T^2 where the reference leaves that out."""


# there position i says i + 1, and the last says nothing; here what follows stands beside each token
FOLLOWING = torch.cat([torch.tensor(GOLDEN["following"])[:, 1:], torch.full((2, 1), -100)], 1)


def value(
    said: dict[str, object],
    student: torch.Tensor,
    teacher: torch.Tensor,
    following: torch.Tensor = FOLLOWING,
) -> torch.Tensor:
    """A loss of a lesson, as training gives it the signals of a task."""
    lesson = {"student_logits": student, "teacher_logits": teacher, "next_tokens": following}
    signals = name_outputs(lesson, ENDS)
    (term,) = bind_terms([Term(loss=NamedMember.parse(said, LOSSES, "loss"))])
    keys = find_keys(needs(LOSSES[str(said["name"])]), ENDS)
    return term.function(*(signals[keys.get(name, name)] for name in term.needs))


def logits(name: str) -> torch.Tensor:
    return torch.tensor(GOLDEN[name], dtype=torch.float64)


@pytest.mark.parametrize("key", LOSS_OF)
def test_values_are_those_of_the_reference_over_the_places_that_count(key: str) -> None:
    said, square = LOSS_OF[key]
    got = float(value(said, logits("student"), logits("teacher"))) / square
    assert got == pytest.approx(
        GOLDEN["values"][key]["value"], rel=1e-6 if key == "lm_ce" else 1e-9
    )


@pytest.mark.parametrize("key", LOSS_OF)
def test_what_stands_where_nothing_follows_moves_neither_loss_nor_gradient(key: str) -> None:
    said, _ = LOSS_OF[key]
    student = logits("student").requires_grad_()
    loss = value(said, student, logits("teacher"))
    loss.backward()
    assert student.grad is not None
    following = torch.tensor(GOLDEN["following"])
    empty = torch.cat([following[:, 1:] < 0, torch.ones(2, 1, dtype=torch.bool)], 1)
    assert (student.grad[empty] == 0).all() and (student.grad[~empty] != 0).any()
    moved = [
        torch.where(empty[..., None], 50 * each, each)
        for each in map(logits, ("student", "teacher"))
    ]
    assert float(value(said, *moved)) == float(loss.detach())


@pytest.mark.parametrize("name", sorted({*FAMILIES["language"], "kd", "cross-entropy"}))
def test_a_prompt_moves_no_loss_on_answers(name: str) -> None:
    """Of conversations, where what follows counts in answers alone: two of one, with a turn of a user between them."""
    torch.manual_seed(0)
    following = torch.tensor([[-100, -100, 3, 4, -100, -100, 5], [-100, 2, -100, -100, 1, 7, -100]])
    student, teacher = (torch.randn(2, 7, 11, dtype=torch.float64) for _ in range(2))
    student.requires_grad_()
    loss = value({"name": name}, student, teacher, following)
    loss.backward()
    assert student.grad is not None
    prompt = (following < 0)[..., None]
    assert (student.grad.masked_select(prompt) == 0).all() and student.grad.any()
    moved = [torch.where(prompt, 50 * each, each) for each in (student.detach(), teacher)]
    assert float(value({"name": name}, *moved, following)) == float(loss.detach())
    whole = value({"name": name}, student.detach(), teacher, following.clamp(min=0))
    assert float(whole) != float(loss.detach())
