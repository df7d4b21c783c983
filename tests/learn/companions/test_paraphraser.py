"""Paraphraser and translator: who is moved by what."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.companions.paraphraser import paraphraser
from edgekd.learn.losses.feature.factors import ft

STUDENT, TEACHER = (4, 3, 6, 6), (4, 8, 6, 6)


def drawn() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(STUDENT, generator=generator), torch.randn(TEACHER, generator=generator)


def moved(beside: nn.Module, prefix: str) -> bool:
    gradients = [p.grad for name, p in beside.named_parameters() if name.startswith(prefix)]
    found = [gradient is not None and bool(gradient.abs().sum() > 0) for gradient in gradients]
    assert found and all(found) == any(found)
    return all(found)


@pytest.mark.parametrize(("rate", "width"), [(0.5, 4), (0.75, 6), (0.01, 1), (2.0, 16)])
def test_factors_have_their_share_of_the_teacher_s_channels(rate: float, width: int) -> None:
    given = paraphraser(STUDENT, TEACHER, rate=rate)(*drawn())
    assert given["student_features"].shape == given["teacher_features"].shape == (4, width, 6, 6)
    assert given["reconstruction"].shape == ()


def test_the_difference_of_factors_moves_the_translator_alone() -> None:
    beside = paraphraser(STUDENT, TEACHER)
    ft(*beside(*drawn()).values(), reconstruction_weight=0.0).backward()
    for name, parameter in beside.named_parameters():
        if not name.startswith("translator"):  # the weight of 0 leaves gradients that are 0
            assert parameter.grad is None or not parameter.grad.any(), name
    assert moved(beside, "translator")


def test_reconstruction_moves_the_paraphraser_alone() -> None:
    beside = paraphraser(STUDENT, TEACHER)
    given = beside(*drawn())
    given["reconstruction"].backward()
    assert moved(beside, "encoder") and moved(beside, "decoder")
    assert all(parameter.grad is None for parameter in beside.translator.parameters())


@pytest.mark.trains
def test_the_paraphraser_learns_to_say_it_again() -> None:
    torch.manual_seed(0)
    beside = paraphraser(STUDENT, TEACHER)
    optimizer = torch.optim.Adam(beside.parameters(), lr=0.02)
    values = []
    for _ in range(60):
        optimizer.zero_grad()
        value = ft(*beside(*drawn()).values(), reconstruction_weight=1.0)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.5 * values[0]


def test_reconstruction_is_the_error_of_the_decoded_factors() -> None:
    beside = paraphraser(STUDENT, TEACHER).eval()
    student, teacher = drawn()
    given = beside(student, teacher)
    again = beside.decoder(given["teacher_features"])
    assert given["reconstruction"].item() == pytest.approx(((again - teacher) ** 2).mean().item())
    nothing = beside(torch.zeros(STUDENT), torch.zeros(TEACHER))
    assert all(bool(value.isfinite().all()) for value in nothing.values())


def test_state_goes_round_and_tokens_become_maps() -> None:
    beside, again = paraphraser(STUDENT, TEACHER), paraphraser(STUDENT, TEACHER)
    beside(*drawn())
    again.load_state_dict(beside.state_dict())
    one, other = beside(*drawn()), again(*drawn())
    assert all(torch.equal(one[name], other[name]) for name in one)
    given = paraphraser((2, 10, 3), (2, 10, 8))(torch.randn(2, 10, 3), torch.randn(2, 10, 8))
    assert given["student_features"].shape == (2, 4, 3, 3)
    with pytest.raises(ValueError, match="want two"):
        paraphraser((2, 3), (2, 8))
