"""The margin is the mean of all negative responses that were seen, and nothing else moves it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from edgekd.learn.companions.margin import margin

STUDENT, TEACHER = (4, 3, 2, 2), (4, 5, 2, 2)


def batches(count: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    drawn = [
        (torch.randn(STUDENT, generator=generator), torch.randn(TEACHER, generator=generator))
        for _ in range(count)
    ]
    for number, (_, teacher) in enumerate(drawn):
        teacher += number / count  # so that batches differ in how many are negative
        teacher[:, 4] = teacher[:, 4].abs()
    return drawn


def test_it_is_the_mean_of_what_was_negative() -> None:
    beside, seen = margin(STUDENT, TEACHER), batches(7)
    for student, teacher in seen:
        given = beside(student, teacher)
    responses = torch.stack([teacher for _, teacher in seen]).transpose(0, 2).flatten(1)
    for channel in range(4):
        want = responses[channel][responses[channel] < 0].mean().item()
        assert given["margin"][channel].item() == pytest.approx(want, rel=1e-5)
    assert given["margin"][4].item() == 0.0
    assert given["margin"].shape == (5, 1, 1)
    assert not given["margin"].requires_grad


def test_evaluation_leaves_it_alone() -> None:
    beside, seen = margin(STUDENT, TEACHER), batches(2)
    beside(*seen[0])
    before = {name: value.clone() for name, value in beside.state_dict().items()}
    beside.eval()
    given = beside(torch.zeros(STUDENT), torch.zeros(TEACHER))
    beside(*seen[1])
    assert all(bool(value.isfinite().all()) for value in given.values())
    assert all(torch.equal(before[name], value) for name, value in beside.state_dict().items())


def test_a_margin_that_was_given_out_does_not_change() -> None:
    beside, seen = margin(STUDENT, TEACHER), batches(2)
    first = beside(*seen[0])["margin"]
    kept = first.clone()
    beside(*seen[1])
    assert torch.equal(first, kept)


def test_it_goes_on_from_its_state() -> None:
    seen = batches(4)
    whole = margin(STUDENT, TEACHER)
    for batch in seen[:2]:
        whole(*batch)
    again = margin(STUDENT, TEACHER)
    again.load_state_dict(whole.state_dict())
    for batch in seen[2:]:
        one, other = whole(*batch), again(*batch)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_tokens_and_maps_of_two_sizes() -> None:
    given = margin((4, 10, 3), (4, 10, 5))(torch.randn(4, 10, 3), torch.randn(4, 10, 5))
    assert given["margin"].shape == (5,)
    given = margin((4, 3, 8, 8), (4, 17, 5))(torch.randn(4, 3, 8, 8), torch.randn(4, 17, 5))
    assert given["student_features"].shape == given["teacher_features"].shape == (4, 5, 4, 4)
