"""The contrast companion: scores, noise, normalizer and memory, against a slow version."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.companions.contrast import contrast
from edgekd.learn.losses.relation.contrast import crd

BATCH, SAMPLES = 3, 11
INDICES = torch.tensor([7, 0, 4])
DRAWN = torch.tensor([[1, 2, 7, 9], [0, 0, 3, 10], [5, 6, 8, 1]])


def made(**knobs: object) -> nn.Module:
    torch.manual_seed(3)
    given = {"samples": SAMPLES, "dimension": 4, "negatives": 4, "temperature": 0.3, **knobs}
    return contrast((BATCH, 5), (BATCH, 6), (BATCH,), **given)


def embeddings() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(BATCH, d, generator=generator, requires_grad=True) for d in (5, 6))


def length_one(row: Tensor) -> Tensor:
    return row / math.sqrt(float((row**2).sum()))


def slow(module: nn.Module, student: Tensor, teacher: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """P of both sides, sample by sample and candidate by candidate, before any update."""
    with torch.no_grad():
        anchors = [
            [length_one(linear.weight @ row + linear.bias) for row in rows]
            for linear, rows in ((module.ours, student), (module.theirs, teacher))
        ]
    memories = (module.theirs_before.clone(), module.ours_before.clone())
    sides = []
    for rows, memory in zip(anchors, memories, strict=True):
        chosen = [[int(i), *map(int, drawn)] for i, drawn in zip(INDICES, DRAWN, strict=True)]
        sides.append(
            torch.stack(
                [
                    torch.stack([((row * memory[i]).sum() / 0.3).exp() for i in picked])
                    for row, picked in zip(rows, chosen, strict=True)
                ]
            )
        )
    return [side / (side.mean() * SAMPLES) for side in sides], [torch.stack(a) for a in anchors]


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9])
def test_scores_are_the_log_of_what_is_drawn_and_the_bank_follows(momentum: float) -> None:
    module, (student, teacher) = made(momentum=momentum), embeddings()
    before = (module.ours_before.clone(), module.theirs_before.clone())
    (ours, theirs), anchors = slow(module, student, teacher)
    given = module(student, teacher, INDICES, DRAWN)
    assert torch.allclose(given["student_scores"], ours.log(), atol=1e-5)
    assert torch.allclose(given["teacher_scores"], theirs.log(), atol=1e-5)
    assert given["noise_score"].item() == pytest.approx(math.log(4 / SAMPLES))
    after = (module.ours_before, module.theirs_before)
    for was, now, anchor in zip(before, after, anchors, strict=True):
        for index in range(SAMPLES):
            want = was[index]
            if index in INDICES.tolist():
                row = anchor[INDICES.tolist().index(index)]
                want = length_one(momentum * want + (1 - momentum) * row)
            assert torch.allclose(now[index], want, atol=1e-6)


def test_the_normalizer_is_of_the_first_batch() -> None:
    module, (student, teacher) = made(), embeddings()
    module(student, teacher, INDICES, DRAWN)
    first = module.log_z.clone()
    assert bool(first.isfinite().all())
    given = module(2 - student, teacher, INDICES, DRAWN)
    assert torch.equal(module.log_z, first)
    cosines = module.embedded(2 - student, teacher)[0] @ module.theirs_before.T
    assert given["student_scores"].shape == (BATCH, 5)
    want = cosines[0, 1] / 0.3 - first[0]  # sample 1 is in no batch: it is as it was
    assert given["student_scores"][0, 1].item() == pytest.approx(want.item(), rel=1e-5)


def test_gradients_reach_the_student_and_both_embeddings_but_not_the_teacher() -> None:
    for bank in (True, False):
        module, (student, teacher) = made(bank=bank), embeddings()
        crd(*module(student, teacher, INDICES).values()).backward()
        assert student.grad is not None and teacher.grad is None
        for linear in (module.ours, module.theirs):
            assert linear.weight.grad is not None and linear.weight.grad.norm().item() > 0


@pytest.mark.parametrize("bank", [True, False])
def test_candidates_are_constants(bank: bool) -> None:
    module, (student, teacher) = made(bank=bank), embeddings()
    given = module(student, teacher, INDICES)
    sides = (student, module.ours.weight, module.theirs.weight)
    for name, moved in (("student", [True, True, False]), ("teacher", [False, False, True])):
        squares = given[f"{name}_scores"].square().sum()
        found = torch.autograd.grad(squares, sides, retain_graph=True)
        assert [bool(grad.abs().sum() > 0) for grad in found] == moved


@pytest.mark.parametrize("bank", [True, False])
def test_evaluation_changes_nothing_and_zeros_are_finite(bank: bool) -> None:
    module = made(bank=bank).eval()
    was, state = {k: v.clone() for k, v in module.state_dict().items()}, torch.get_rng_state()
    zeros = (torch.zeros(BATCH, 5), torch.zeros(BATCH, 6), torch.zeros(BATCH, dtype=torch.int64))
    value = crd(*module(*zeros).values())
    assert bool(value.isfinite())
    assert all(torch.equal(was[k], v) for k, v in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_negatives_are_drawn_from_all_samples_by_torch_s_generator() -> None:
    one, other, (student, teacher) = made(negatives=500), made(negatives=500), embeddings()
    torch.manual_seed(5)
    given = one(student, teacher, INDICES)["student_scores"]
    torch.manual_seed(5)
    drawn = torch.randint(SAMPLES, (BATCH, 500))
    assert set(drawn.flatten().tolist()) == set(range(SAMPLES))
    assert torch.equal(given, other(student, teacher, INDICES, drawn)["student_scores"])


def test_in_the_batch_the_candidates_are_its_other_samples() -> None:
    module, (student, teacher) = made(bank=False), embeddings()
    given = module(student, teacher, INDICES)
    ours, theirs = module.embedded(student, teacher)
    for name, anchors, others in (("student", ours, theirs), ("teacher", theirs, ours)):
        likely = ((anchors @ others.T) / 0.3).exp()
        likely = likely / (likely.mean() * BATCH)
        for row, scores in enumerate(given[f"{name}_scores"].exp()):
            assert scores[0].item() == pytest.approx(likely[row, row].item(), rel=1e-4)
            left = sorted(likely[row, c].item() for c in range(BATCH) if c != row)
            assert sorted(scores[1:].tolist()) == pytest.approx(left, rel=1e-4)
    assert given["noise_score"].item() == pytest.approx(math.log(2 / 3))
    assert not any("before" in name for name in module.state_dict())


@pytest.mark.parametrize("bank", [True, False])
def test_the_order_of_the_batch_does_not_matter(bank: bool) -> None:
    order, (student, teacher) = torch.tensor([2, 0, 1]), embeddings()
    one, other = made(bank=bank), made(bank=bank)
    drawn = (DRAWN, DRAWN[order]) if bank else ((), ())
    values = [
        crd(*module(s, t, i, *([d] if bank else [])).values()).item()
        for module, s, t, i, d in (
            (one, student, teacher, INDICES, drawn[0]),
            (other, student[order], teacher[order], INDICES[order], drawn[1]),
        )
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_the_state_goes_on_where_it_was() -> None:
    module, (student, teacher) = made(), embeddings()
    module(student, teacher, INDICES, DRAWN)
    again = made(samples=SAMPLES)
    again.load_state_dict(module.state_dict())
    values = [m(student, teacher, INDICES, DRAWN)["student_scores"] for m in (module, again)]
    assert torch.equal(*values)
    assert torch.equal(module.ours_before, again.ours_before)


@pytest.mark.trains
def test_it_learns_to_tell_samples_apart() -> None:
    torch.manual_seed(0)
    module, (student, teacher) = made(), embeddings()
    optimizer = torch.optim.SGD([*module.parameters(), student], 0.1)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        value = crd(*module(student, teacher, INDICES).values())
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"want two \[B, \*\]"):
        contrast((2, 3, 4), (2, 3), (2,), samples=4)
    with pytest.raises(ValueError, match="got a batch of 1"):
        made(bank=False)(torch.zeros(1, 5), torch.zeros(1, 6), INDICES[:1])
