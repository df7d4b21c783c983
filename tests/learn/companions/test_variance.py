"""Mean and variance are learnt: they are parameters, and they find what is there."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekd.learn.companions.variance import embedding_variance
from edgekd.learn.companions.variance import variance
from edgekd.learn.losses.feature.likelihood import pad_l2
from edgekd.learn.losses.feature.likelihood import vid


@pytest.mark.parametrize("initial", [5.0, 0.01])
def test_the_variance_starts_where_it_is_told(initial: float) -> None:
    beside = variance((2, 3, 4, 4), (2, 5, 4, 4), initial_variance=initial)
    given = beside(torch.randn(2, 3, 4, 4), torch.randn(2, 5, 4, 4))
    assert given["variance"].flatten().tolist() == pytest.approx([initial] * 5, rel=1e-4)
    assert given["variance"].shape == (5, 1, 1)
    convolutions = sum(isinstance(module, nn.Conv2d) for module in beside.modules())
    assert convolutions == 3


def test_it_must_start_above_its_least() -> None:
    with pytest.raises(ValueError, match="initial_variance"):
        variance((2, 3), (2, 5), initial_variance=1e-5)


@pytest.mark.parametrize(
    ("one", "other", "want"),
    [((2, 3), (2, 5), (5,)), ((2, 9, 3), (2, 9, 5), (5,)), ((2, 3, 4, 4), (2, 10, 5), (5, 1, 1))],
)
def test_it_broadcasts_over_vectors_tokens_and_maps(
    one: tuple[int, ...], other: tuple[int, ...], want: tuple[int, ...]
) -> None:
    given = variance(one, other)(torch.zeros(one), torch.zeros(other))
    assert given["variance"].shape == want
    assert bool(vid(*given.values()).isfinite())


def test_training_finds_the_spread_of_each_channel() -> None:
    """A student that says nothing: the mean is the teacher's, the variance what is left."""
    torch.manual_seed(0)
    spread = torch.tensor([0.5, 1.0, 2.0])
    student = torch.zeros(128, 2)
    teacher = torch.randn(128, 3) * spread + torch.tensor([1.0, 0.0, -1.0])
    beside = variance((128, 2), (128, 3))
    optimizer = torch.optim.Adam(beside.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        given = beside(student, teacher)
        vid(*given.values()).backward()
        optimizer.step()
    want = teacher.var(0, correction=0).tolist()
    assert given["variance"].tolist() == pytest.approx(want, rel=0.02)
    assert given["student_features"][0].tolist() == pytest.approx(
        teacher.mean(0).tolist(), abs=0.05
    )


def test_variances_are_trained_and_kept() -> None:
    beside = variance((2, 3, 4, 4), (2, 5, 4, 4))
    assert "raw_variance" in dict(beside.named_parameters())
    again = variance((2, 3, 4, 4), (2, 5, 4, 4), initial_variance=1.0)
    again.load_state_dict(beside.state_dict())
    given = torch.randn(2, 3, 4, 4), torch.randn(2, 5, 4, 4)
    one, other = beside(*given), again(*given)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_log_variance_is_predicted_sample_by_sample() -> None:
    torch.manual_seed(0)
    beside = embedding_variance((8, 3), (8, 5))
    student = torch.randn(8, 3, requires_grad=True)
    given = beside(student, torch.randn(8, 5))
    assert given["student_embedding"].shape == given["log_variance"].shape == (8, 5)
    assert torch.allclose(given["log_variance"].mean(0), torch.zeros(5), atol=1e-5)
    pad_l2(given["student_embedding"], torch.randn(8, 5), given["log_variance"]).backward()
    assert all(parameter.grad is not None for parameter in beside.parameters())
    assert student.grad is not None


def test_embeddings_as_wide_need_no_regressor() -> None:
    beside = embedding_variance((8, 5), (8, 5))
    student = torch.randn(8, 5)
    assert beside(student, torch.randn(8, 5))["student_embedding"] is student
    beside.eval()
    assert beside(torch.zeros(8, 5), torch.zeros(8, 5))["log_variance"].isfinite().all()
    with pytest.raises(ValueError, match=r"want two \[B, D\]"):
        embedding_variance((8, 5, 2, 2), (8, 5))
