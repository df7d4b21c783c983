"""What relation losses do not see, and slow versions of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.losses.relation.congruence import cc
from edgekd.learn.losses.relation.congruence import cc_taylor
from edgekd.learn.losses.relation.contrast import crd
from edgekd.learn.losses.relation.cross_layer import semckd
from edgekd.learn.losses.relation.direction import skd_direction
from edgekd.learn.losses.relation.distances import irg
from edgekd.learn.losses.relation.distances import rkd
from edgekd.learn.losses.relation.similarities import ickd
from edgekd.learn.losses.relation.similarities import pkt
from edgekd.learn.losses.relation.similarities import sp

Loss = Callable[..., Tensor]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def rotation(size: int) -> Tensor:
    turned, _ = torch.linalg.qr(drawn(size, size, seed=9))
    return turned


@pytest.mark.parametrize("loss", [rkd, sp, cc_taylor, pkt, skd_direction])
@pytest.mark.parametrize("size", [1e-3, 7.0])
def test_neither_rotation_nor_scale_matters(loss: Loss, size: float) -> None:
    student, teacher = drawn(5, 6), drawn(5, 6, seed=1)
    was = loss(student, teacher).item()
    moved = loss(size * student @ rotation(6), teacher @ rotation(6) / size).item()
    # PKT adds 1e-7 to lengths.
    assert moved == pytest.approx(was, rel=1e-3 if loss is pkt else 1e-9)
    assert was > 1e-3
    apart = drawn(5, 6) * torch.linspace(1, 3, 6, dtype=torch.float64)
    assert loss(apart, teacher).item() != pytest.approx(was, rel=1e-3)


def test_rkd_does_not_see_a_shift_unless_normalized() -> None:
    student, teacher = drawn(5, 6), drawn(5, 6, seed=1)
    was = rkd(student, teacher).item()
    assert rkd(student + 2, teacher - 1).item() == pytest.approx(was, rel=1e-9)
    assert rkd(student + 2, teacher, normalized=True).item() != pytest.approx(
        rkd(student, teacher, normalized=True).item(), rel=1e-2
    )


@pytest.mark.parametrize("loss", [rkd, cc_taylor, pkt])
def test_embeddings_may_differ_in_width(loss: Loss) -> None:
    teacher = drawn(5, 6)
    wider = F.pad(teacher, (0, 3))
    assert loss(wider, teacher).item() == pytest.approx(0, abs=1e-12)
    assert loss(drawn(5, 4), teacher).item() > 0


def test_rkd_by_hand() -> None:
    """A right triangle 3, 4, 5 against one with equal sides."""
    student = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
    teacher = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(0.75)]], dtype=torch.float64)
    # Over their mean 4 the sides are 3/4, 1, 5/4; the teacher's are 1; each pair counts twice of 9.
    sides = 2 * (0.5 / 16 + 0.5 / 16) / 9
    assert rkd(student, teacher, distance=1.0, angle=0.0).item() == pytest.approx(sides, rel=1e-12)
    # Cosines 0, 3/5, 4/5 against 1/2, each twice of 27.
    corners = 2 * sum(0.5 * (c - 0.5) ** 2 for c in (0.0, 0.6, 0.8)) / 27
    assert rkd(student, teacher, distance=0.0, angle=1.0).item() == pytest.approx(
        corners, rel=1e-12
    )


def test_rkd_of_samples_that_are_one_is_finite() -> None:
    student = torch.ones(3, 4, requires_grad=True)
    value = rkd(student, drawn(3, 4).float())
    value.backward()
    assert student.grad is not None
    assert bool(value.isfinite()) and bool(student.grad.isfinite().all())


@pytest.mark.parametrize("l1_rows", [False, True])
def test_sp_row_by_row(l1_rows: bool) -> None:
    student, teacher = drawn(3, 2, 2, 2), drawn(3, 5, 1, 3, seed=1)
    rows = []
    for features in (student, teacher):
        gram = torch.stack([torch.stack([(a * b).sum() for b in features]) for a in features])
        rows.append([row / (row.abs().sum() if l1_rows else row.norm()) for row in gram])
    want = sum(((a - b) ** 2).sum() for a, b in zip(*rows, strict=True)) / 9
    value = sp(student, teacher, l1_rows=l1_rows)
    assert value.item() == pytest.approx(float(want), rel=1e-12)


def test_ickd_takes_tokens_as_maps() -> None:
    student, teacher = drawn(3, 4, 2, 2), drawn(3, 4, 3, 3, seed=1)
    tokens = [maps.flatten(2).transpose(1, 2) for maps in (student, teacher)]
    assert ickd(*tokens).item() == pytest.approx(ickd(student, teacher).item(), rel=1e-12)
    turned = student.flip(2).transpose(2, 3) * -3
    assert ickd(turned, student).item() == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="as many samples and channels"):
        ickd(student[:, :3], teacher)
    with pytest.raises(ValueError, match=r"want two \[B, C, H, W\] or"):
        ickd(student, tokens[1])


def test_pkt_s_epsilon_bounds_what_a_missing_neighbour_costs() -> None:
    """The teacher's neighbours are opposite for the student: without epsilon the value is infinite."""
    teacher = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).double()
    student = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).double()
    for epsilon in (1e-7, 1e-3, 0.1):
        # p_t = 1/2 everywhere; p_s is 1 and 0, but for how epsilon shortens the directions.
        side = ((1 / (1 + epsilon)) ** 2 + 1) / 2
        same, apart = side, 1 - side
        same, apart = same / (same + apart), apart / (same + apart)
        want = sum(0.25 * math.log((0.5 + epsilon) / (p + epsilon)) for p in (same, apart))
        assert pkt(student, teacher, epsilon=epsilon).item() == pytest.approx(want, rel=1e-6)


def test_pkt_pair_by_pair() -> None:
    student, teacher = drawn(3, 4), drawn(3, 5, seed=1)

    def likely(e: Tensor) -> list[list[float]]:
        rows = [[(F.cosine_similarity(a, b, 0).item() + 1) / 2 for b in e] for a in e]
        return [[p / sum(row) for p in row] for row in rows]

    pairs = [
        p * math.log(p / q)
        for a, b in zip(likely(teacher), likely(student), strict=True)
        for p, q in zip(a, b, strict=True)
    ]
    assert pkt(student, teacher).item() == pytest.approx(sum(pairs) / 9, rel=1e-5)


def test_cc_by_hand_and_by_order() -> None:
    apart = torch.tensor([[1.0, -2.0], [3.0, 4.0], [0.0, 0.0]])
    assert cc(apart, torch.zeros(3, 2)).item() == pytest.approx((3 + 8 + 0) / 2)
    assert cc(apart[[0, 2, 1]], torch.zeros(3, 2)).item() == 0
    with pytest.raises(ValueError, match=r"want two \[B, D\]"):
        cc(apart, torch.zeros(3, 3))


def test_cc_taylor_tends_to_the_gaussian_kernel() -> None:
    student, teacher = (F.normalize(drawn(4, 5, seed=s)) for s in (0, 1))
    kernels = [torch.exp(-0.7 * (e[:, None] - e[None]).square().sum(2)) for e in (student, teacher)]
    value = cc_taylor(3 * student, teacher / 2, gamma=0.7, order=20)
    assert value.item() == pytest.approx(F.mse_loss(*kernels).item(), rel=1e-12)


def test_skd_direction_by_its_inverse() -> None:
    student, teacher = drawn(4, 6), drawn(4, 6, seed=1)
    apart = [F.cosine_similarity(z[:, None], z[None], 2) for z in (student, teacher)]
    d = apart[0] - apart[1]
    centred = d - d.mean(0)
    inverse = torch.linalg.inv(centred.T @ centred / 3 + 0.25 * torch.eye(4, dtype=torch.float64))
    want = sum(math.sqrt((row @ inverse @ row).item()) for row in d) / 4
    assert skd_direction(student, teacher, tikhonov=0.25).item() == pytest.approx(want, rel=1e-9)


def test_irg_of_stages_of_other_widths_and_sides() -> None:
    logits, embedding = drawn(3, 4), drawn(3, 5)
    stages = (drawn(3, 2, 4, 4, seed=2), drawn(3, 4, 2, 2, seed=3))
    theirs = (drawn(3, 6, 4, 4, seed=4), drawn(3, 3, 3, 3, seed=5))
    vertex = {"vertex": 0.0, "edge": 0.0, "transform": 1.0}
    value = irg(logits, logits, stages, theirs, embedding, drawn(3, 7), **vertex)
    before, after = F.avg_pool2d(stages[0], 2), (stages[1][:, ::2] + stages[1][:, 1::2]) / 2
    ours = (before - after).flatten(1).square().sum(1)
    before = F.adaptive_avg_pool2d(theirs[0], 3).unflatten(1, (3, 2)).mean(2)
    others = (before - theirs[1]).flatten(1).square().sum(1)
    want = F.mse_loss(ours / ours.max(), others / others.max())
    assert value.item() == pytest.approx(want.item(), rel=1e-9)


def test_irg_edges_pair_by_pair() -> None:
    logits, stages = drawn(3, 4), (drawn(3, 2, 2, 2), drawn(3, 2, 2, 2, seed=1))
    one, other = drawn(3, 5) + 100, drawn(3, 5, seed=1)
    edges = []
    for e in (one, other):
        pairs = torch.tensor([[((a - b) ** 2).sum().item() for b in e] for a in e])
        edges.append(pairs / pairs.max())
    want = ((edges[0] - edges[1]) ** 2).mean() / 3
    given = (logits, logits, stages, stages, one, other)
    value = irg(*given, vertex=0.0, edge=1.0, transform=0.0)
    assert value.item() == pytest.approx(want.item(), rel=1e-5)


def test_irg_wants_two_stages_of_maps() -> None:
    logits, stage = drawn(3, 4), drawn(3, 2, 2, 2)
    with pytest.raises(ValueError, match="want two stages or more of each, got 1 and 1"):
        irg(logits, logits, (stage,), (stage,), logits, logits)
    with pytest.raises(ValueError, match=r"want stages \[B, \*, H, W\]"):
        irg(logits, logits, (stage, logits), (stage, stage), logits, logits)


def test_semckd_pair_by_pair() -> None:
    ours = [drawn(2, 3, 2, 2, seed=s) for s in range(6)]
    theirs = [drawn(2, 3, 2, 2, seed=s) for s in range(6, 12)]
    weights = drawn(2, 2, 3).softmax(2)
    want = sum(
        weights[b, s, t] * ((ours[3 * s + t][b] - theirs[3 * s + t][b]) ** 2).mean()
        for b in range(2)
        for s in range(2)
        for t in range(3)
    )
    value = semckd(ours, theirs, weights)
    assert value.item() == pytest.approx(float(want) / 4, rel=1e-12)
    assert semckd(theirs, theirs, weights).item() == 0
    order = torch.tensor([1, 0])
    turned = semckd([o[order] for o in ours], [t[order] for t in theirs], weights[order])
    assert turned.item() == pytest.approx(value.item(), rel=1e-12)


def test_semckd_wants_pairs_that_fit() -> None:
    maps, weights = [drawn(2, 3, 2, 2)] * 2, drawn(2, 1, 2)
    with pytest.raises(ValueError, match=r"want S \* T pairs"):
        semckd(maps[:1], maps[:1], weights)
    with pytest.raises(ValueError, match="want pairs of one shape"):
        semckd([maps[0], drawn(2, 4, 2, 2)], maps, weights)
    with pytest.raises(ValueError, match="batch of 1"):
        semckd([m[:1] for m in maps], [m[:1] for m in maps], weights[:1])


def test_crd_candidate_by_candidate() -> None:
    scores, noise = [drawn(3, 5), drawn(3, 5, seed=1)], math.log(4 / 20)
    total = 0.0
    for side in scores:
        for row in side.exp().tolist():
            own, *others = row
            total -= math.log(own / (own + 0.2 + 1e-7))
            total -= sum(math.log(0.2 / (p + 0.2 + 1e-7)) for p in others)
    value = crd(*scores, torch.tensor(noise, dtype=torch.float64))
    assert value.item() == pytest.approx(total / 3, rel=1e-12)


def test_crd_is_finite_where_probabilities_are_not() -> None:
    scores = (torch.tensor([[1e4, -1e4, 1e4]]).requires_grad_(), torch.tensor([[-1e4, 1e4, 0.0]]))
    value = crd(*scores, torch.tensor(0.0))
    value.backward()
    assert scores[0].grad is not None
    assert bool(value.isfinite()) and bool(scores[0].grad.isfinite().all())
    with pytest.raises(ValueError, match=r"want two \[B, 2 or more\]"):
        crd(torch.zeros(3, 1), torch.zeros(3, 1), torch.tensor(0.0))
