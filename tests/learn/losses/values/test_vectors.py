"""Losses on vectors: values and gradients of the reference, identities, and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from edgekd.learn.losses.values.distillation import value_mse
from edgekd.learn.losses.values.vectors import pair_contrast
from edgekd.learn.losses.values.vectors import similarity_kl
from edgekd.learn.losses.values.vectors import value_cosine

GOLDEN = json.loads((Path(__file__).parents[3] / "tasks" / "embedding_golden.json").read_text())
OF = {"embedding_mse": value_mse, "embedding_cosine": value_cosine, "similarity_kl": similarity_kl}


def given(name: str) -> torch.Tensor:
    return torch.tensor(GOLDEN[name], dtype=torch.float64)


@pytest.mark.parametrize("key", OF)
def test_values_and_gradients_are_those_of_the_reference(key: str) -> None:
    student, want = given("student").requires_grad_(), GOLDEN["values"][key]
    loss = OF[key](student, given("teacher"))
    assert float(loss.detach()) == pytest.approx(want["value"], rel=1e-9)
    loss.backward()
    assert student.grad is not None
    flat = student.grad.flatten()
    directional = (flat * torch.cos(0.37 * torch.arange(len(flat)) + 0.2)).sum()
    assert float(directional) == pytest.approx(want["gradient"]["directional"], rel=1e-6)
    assert float(flat.norm()) == pytest.approx(want["gradient"]["l2"], rel=1e-6)


@pytest.mark.parametrize("key", OF)
def test_nothing_is_to_learn_from_one_who_agrees(key: str) -> None:
    student = given("teacher").requires_grad_()
    loss = OF[key](student, given("teacher"))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-12)
    assert student.grad is not None and float(student.grad.norm()) < 1e-7


def test_only_directions_count_and_vectors_may_be_of_two_lengths() -> None:
    student, teacher = given("student"), given("teacher")
    for loss in (value_cosine, similarity_kl):
        torch.testing.assert_close(loss(3 * student, 5 * teacher), loss(student, teacher))
    assert similarity_kl(student[:, :3], teacher).isfinite()


def test_contrast_is_the_cross_entropy_of_the_partner_among_all_others() -> None:
    torch.manual_seed(0)
    vectors = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    numbers = torch.tensor(
        [[3.0, 0], [1, 0], [3, 0], [9, 0], [1, 0], [7, 0]]
    )  # two have no partner
    loss = pair_contrast(vectors, numbers, temperature=0.5)
    units = torch.nn.functional.normalize(vectors.detach(), dim=1)
    scores = units @ units.T / 0.5
    scores.fill_diagonal_(-torch.inf)
    partner = {0: 2, 1: 4, 2: 0, 4: 1}
    want = torch.nn.functional.cross_entropy(
        scores[list(partner)], torch.tensor(list(partner.values()))
    )
    torch.testing.assert_close(loss.detach(), want)
    loss.backward()
    assert vectors.grad is not None and vectors.grad.isfinite().all()


def test_without_a_partner_in_the_batch_nothing_is_learned() -> None:
    vectors = torch.randn(3, 4, requires_grad=True)
    loss = pair_contrast(vectors, torch.arange(6.0).reshape(3, 2))
    loss.backward()
    assert float(loss.detach()) == 0 and vectors.grad is not None and not vectors.grad.any()


@pytest.mark.parametrize("loss", [value_cosine, similarity_kl, pair_contrast])
def test_other_shapes_are_refused(loss: object) -> None:
    with pytest.raises(ValueError, match="want"):
        loss(torch.zeros(3, 4), torch.zeros(2, 4))  # type: ignore[operator]
    with pytest.raises(ValueError, match="want"):
        loss(torch.zeros(3, 4, 2), torch.zeros(3, 4, 2))  # type: ignore[operator]
