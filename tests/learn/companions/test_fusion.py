"""The fusion from deep to shallow, beside one written out stage by stage."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from edgekd.learn.companions.fusion import fusion
from edgekd.learn.losses.feature.review import reviewkd

STUDENT = ((2, 3, 8, 8), (2, 4, 4, 4), (2, 6, 2, 2))
TEACHER = ((2, 5, 8, 8), (2, 7, 4, 4), (2, 9, 2, 2))


def drawn(shapes: tuple[tuple[int, ...], ...], seed: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


def inward(state: dict[str, Tensor], stage: int, maps: Tensor) -> Tensor:
    """A 1x1 convolution, and a batch normalization that has seen nothing yet."""
    matrix = state[f"inward.{stage}.0.weight"][:, :, 0, 0]
    return torch.einsum("oi,bixy->boxy", matrix, maps) / (1 + 1e-5) ** 0.5


def outward(state: dict[str, Tensor], stage: int, maps: Tensor) -> Tensor:
    """A 3x3 convolution, one shift at a time."""
    weight = state[f"outward.{stage}.0.weight"]
    sides, padded = maps.shape[2:], torch.nn.functional.pad(maps, (1, 1, 1, 1))
    total = torch.zeros(maps.shape[0], weight.shape[0], *sides)
    for y in range(3):
        for x in range(3):
            seen = padded[:, :, y : y + sides[0], x : x + sides[1]]
            total = total + torch.einsum("oi,bixy->boxy", weight[:, :, y, x], seen)
    return total / (1 + 1e-5) ** 0.5


def test_it_is_what_the_paper_draws() -> None:
    beside = fusion(STUDENT, TEACHER).eval()
    state, stages = beside.state_dict(), drawn(STUDENT, 0)
    fused = inward(state, 2, stages[2])
    want = [outward(state, 2, fused)]
    for stage in (1, 0):
        here = inward(state, stage, stages[stage])
        deeper = fused.repeat_interleave(2, 2).repeat_interleave(2, 3)
        both = torch.cat([here, deeper], 1)
        masks = torch.einsum("oi,bixy->boxy", state[f"attention.{stage}.weight"][:, :, 0, 0], both)
        masks = 1 / (1 + torch.exp(-masks - state[f"attention.{stage}.bias"][:, None, None]))
        fused = here * masks[:, 0:1] + deeper * masks[:, 1:2]
        want.insert(0, outward(state, stage, fused))
    given = beside(stages, drawn(TEACHER, 1))["student_stages"]
    assert [tuple(stage.shape) for stage in given] == list(TEACHER)
    for one, other in zip(given, want, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_stage_of_the_teacher_is_met_by_it_and_all_deeper() -> None:
    beside = fusion(STUDENT, TEACHER).eval()
    for met in range(3):
        stages = tuple(stage.requires_grad_() for stage in drawn(STUDENT, 0))
        beside(stages, drawn(TEACHER, 1))["student_stages"][met].square().sum().backward()
        assert [stage.grad is not None for stage in stages] == [at >= met for at in range(3)]


def test_width_sides_and_kinds() -> None:
    wide = fusion(STUDENT, TEACHER, most_channels=4)
    assert wide.inward[0][0].weight.shape == (4, 3, 1, 1)
    assert fusion(STUDENT, TEACHER).inward[0][0].weight.shape == (6, 3, 1, 1)
    student, teacher = ((2, 3, 8, 6), (2, 10, 4)), ((2, 5, 4, 6), (2, 17, 7))
    given = fusion(student, teacher)(drawn(student, 0), drawn(teacher, 1))
    shapes = [(2, 5, 4, 6), (2, 7, 3, 3)]
    assert [tuple(stage.shape) for stage in given["student_stages"]] == shapes
    assert [tuple(stage.shape) for stage in given["teacher_stages"]] == shapes
    assert bool(reviewkd(**given).isfinite())


def test_one_stage_has_nothing_to_fuse_with() -> None:
    beside = fusion(STUDENT[:1], TEACHER[:1])
    assert not list(beside.attention)
    assert (
        beside(drawn(STUDENT[:1], 0), drawn(TEACHER[:1], 1))["student_stages"][0].shape
        == TEACHER[0]
    )
    with pytest.raises(ValueError, match="want as many stages of both, got 0 and 0"):
        fusion((), ())
    with pytest.raises(ValueError, match="want as many stages of both, got 3 and 2"):
        fusion(STUDENT, TEACHER[:2])
    with pytest.raises(ValueError, match="want two"):
        fusion(((2, 3),), ((2, 3),))


def test_every_parameter_learns_and_the_teacher_does_not() -> None:
    beside = fusion(STUDENT, TEACHER)
    teacher = tuple(stage.requires_grad_() for stage in drawn(TEACHER, 1))
    reviewkd(**beside(drawn(STUDENT, 0), teacher)).backward()
    assert all(stage.grad is None for stage in teacher)
    assert all(parameter.grad is not None for parameter in beside.parameters())


def test_state_goes_round_and_zeros_pass() -> None:
    beside, again = fusion(STUDENT, TEACHER), fusion(STUDENT, TEACHER)
    beside(drawn(STUDENT, 0), drawn(TEACHER, 1))
    again.load_state_dict(beside.state_dict())
    beside.eval(), again.eval()
    given = tuple(map(torch.zeros, STUDENT)), tuple(map(torch.zeros, TEACHER))
    one, other = beside(*given), again(*given)
    pairs = zip(one["student_stages"], other["student_stages"], strict=True)
    assert all(torch.equal(a, b) and bool(a.isfinite().all()) for a, b in pairs)
