"""The projector: nothing where nothing is to do, a regressor where the widths differ."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekd.learn.companions.projector import embedding_projector
from edgekd.learn.companions.projector import projector
from edgekd.learn.companions.projector import stages_projector
from edgekd.learn.companions.resizing import resizer

Shape = tuple[int, ...]


def drawn(shape: Shape, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (2, 10, 3), (2, 3)])
def test_alike_is_left_alone(shape: Shape) -> None:
    beside = projector(shape, shape)
    one, other = drawn(shape, 1), drawn(shape, 2)
    given = beside(one, other)
    assert given["student_features"] is one
    assert torch.equal(given["teacher_features"], other)
    assert parameters(beside) == 0 and not beside.state_dict()


@pytest.mark.parametrize(
    ("student", "teacher", "want", "learnt"),
    [
        ((4, 3, 8, 8), (4, 5, 4, 4), (4, 5, 4, 4), 3 * 5 + 2 * 5),
        ((4, 3, 8, 8), (4, 3, 4, 4), (4, 3, 4, 4), 0),
        ((4, 3, 4, 4), (4, 5, 8, 8), (4, 5, 4, 4), 3 * 5 + 2 * 5),
        ((4, 3, 8, 8), (4, 17, 5), (4, 5, 4, 4), 3 * 5 + 2 * 5),
        ((4, 17, 3), (4, 5, 2, 2), (4, 5, 2, 2), 3 * 5 + 2 * 5),
        ((4, 17, 3), (4, 17, 5), (4, 17, 5), 3 * 5 + 5),
        ((4, 3), (4, 5), (4, 5), 3 * 5 + 5),
    ],
)
def test_it_fits_whatever_the_two_are(
    student: Shape, teacher: Shape, want: Shape, learnt: int
) -> None:
    beside = projector(student, teacher)
    given = beside(drawn(student), drawn(teacher))
    assert list(given) == ["student_features", "teacher_features"]
    assert given["student_features"].shape == given["teacher_features"].shape == want
    assert parameters(beside) == learnt
    assert all(value.dtype == torch.float32 for value in given.values())
    beside.eval()
    assert beside(torch.zeros(student), torch.zeros(teacher))["student_features"].isfinite().all()


def test_it_is_a_matrix_at_each_place() -> None:
    beside = projector((4, 3, 2, 2), (4, 5, 2, 2), batch_norm=False)
    (convolution,) = (m for m in beside.modules() if isinstance(m, nn.Conv2d))
    student, teacher = drawn((4, 3, 2, 2)), drawn((4, 5, 2, 2))
    assert convolution.bias is not None
    matrix = convolution.weight[:, :, 0, 0]
    want = torch.einsum("oi,bixy->boxy", matrix, student) + convolution.bias[:, None, None]
    assert torch.allclose(beside(student, teacher)["student_features"], want, atol=1e-6)


def test_batch_normalization_follows_the_convolution() -> None:
    beside = projector((64, 3, 4, 4), (64, 5, 4, 4))
    out = beside(drawn((64, 3, 4, 4)), drawn((64, 5, 4, 4)))["student_features"]
    assert torch.allclose(out.mean((0, 2, 3)), torch.zeros(5), atol=1e-5)
    assert torch.allclose(out.var((0, 2, 3)), torch.ones(5), atol=1e-2)


def test_half_precision_and_a_teacher_with_gradient() -> None:
    beside = projector((4, 3, 4, 4), (4, 5, 2, 2))
    teacher = drawn((4, 5, 2, 2)).requires_grad_()
    given = beside(drawn((4, 3, 4, 4)).half(), teacher.half())
    assert all(value.dtype == torch.float32 for value in given.values())
    assert not given["teacher_features"].requires_grad


def test_each_pair_of_stages_has_its_own() -> None:
    student, teacher = ((2, 3, 8, 8), (2, 4, 4, 4)), ((2, 5, 8, 8), (2, 4, 2, 2))
    beside = stages_projector(student, teacher)
    given = beside(tuple(map(drawn, student)), tuple(map(drawn, teacher)))
    shapes = [(2, 5, 8, 8), (2, 4, 2, 2)]
    assert [tuple(stage.shape) for stage in given["student_stages"]] == shapes
    assert [tuple(stage.shape) for stage in given["teacher_stages"]] == shapes
    assert parameters(beside) == 3 * 5 + 2 * 5
    assert parameters(stages_projector(student, teacher, batch_norm=False)) == 3 * 5 + 5
    with pytest.raises(ValueError, match="want as many stages of both, got 2 and 1"):
        stages_projector(student, teacher[:1])


def test_embeddings_are_made_as_wide() -> None:
    given = embedding_projector((2, 3), (2, 5))(drawn((2, 3)), drawn((2, 5)))
    assert {name: tuple(value.shape) for name, value in given.items()} == {
        "student_embedding": (2, 5)
    }
    assert parameters(embedding_projector((2, 3), (2, 3))) == 0
    assert parameters(embedding_projector((2, 3), (2, 3), always=True)) == 12
    with pytest.raises(ValueError, match=r"want two \[B, D\]"):
        embedding_projector((2, 3, 4), (2, 3))


def test_what_cannot_be_laid_out_alike_is_refused() -> None:
    for builder in (projector, resizer):
        with pytest.raises(ValueError, match="want"):
            builder((2, 3), (3, 3, 4, 4))


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (2, 6, 3), (2, 3)])
@pytest.mark.parametrize("other", [(2, 5, 2, 2), (2, 4, 5), (2, 5)])
def test_beside_a_vector_stands_the_mean_over_the_places(
    shape: tuple[int, ...], other: tuple[int, ...]
) -> None:
    if 2 not in (len(shape), len(other)):
        return
    student, teacher = drawn(shape), drawn(other)
    given = projector(shape, other)(student, teacher)
    assert given["student_features"].shape == given["teacher_features"].shape == (2, 5)
    if len(other) > 2:
        want = teacher.mean(1) if len(other) == 3 else teacher.mean((2, 3))
        assert torch.allclose(given["teacher_features"], want)


def test_resized_keeps_the_channels_and_learns_nothing() -> None:
    beside = resizer((2, 3, 8, 8), (2, 5, 4, 4))
    student, teacher = drawn((2, 3, 8, 8)), drawn((2, 5, 4, 4))
    given = beside(student, teacher)
    assert torch.allclose(given["student_features"][:, :, 0, 0], student[:, :, :2, :2].mean((2, 3)))
    assert torch.equal(given["teacher_features"], teacher)
    assert parameters(beside) == 0
