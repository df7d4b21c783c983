"""A learnt projector: makes the student's features as wide as the teacher's, in the same places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch import nn

from edgekd.learn.mathematics.fitting import count_channels
from edgekd.learn.mathematics.fitting import match_places
from edgekd.learn.mathematics.fitting import shared_places
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from edgekd.learn.mathematics.shapes import Shape
    from edgekd.learn.mathematics.shapes import Stages


def projector(
    student_features: Shape, teacher_features: Shape, *, batch_norm: bool = True
) -> nn.Module:
    """Both features in the places they share; the student's with as many channels as the teacher's.

    Where the channels differ, the student's pass a 1x1 convolution (maps) or a linear layer (tokens,
    vectors): the regressor of Romero et al. 2015 (arXiv:1412.6550, sec. 2.2), without its ReLU, so that
    features from before an activation can be met, too. Where all sides agree there is nothing to learn.

    Args:
        student_features: [B, C, H, W], [B, N, D] or [B, D].
        teacher_features: the same kinds.
        batch_norm: whether a batch normalization follows the convolution.

    Returns:
        A module that gives ``student_features`` and ``teacher_features`` of one shape.

    Raises:
        ValueError: if the two cannot be laid out alike.
    """
    shared = shared_places(student_features, teacher_features)
    width, wanted = count_channels(student_features), count_channels(teacher_features)
    return _Fitted(_regressor(width, wanted, len(shared) == 2, batch_norm))


def stages_projector(
    student_stages: Stages, teacher_stages: Stages, *, batch_norm: bool = True
) -> nn.Module:
    """A `projector` for each pair of stages.

    Args:
        student_stages: of each stage [B, C, H, W] or [B, N, D].
        teacher_stages: the same kinds, as many.
        batch_norm: whether a batch normalization follows each convolution.

    Returns:
        A module that gives ``student_stages`` and ``teacher_stages``, in pairs of one shape.

    Raises:
        ValueError: if a pair cannot be laid out alike, or one side has more stages.
    """
    if len(student_stages) != len(teacher_stages):
        raise ValueError(
            f"want as many stages of both, got {len(student_stages)} and {len(teacher_stages)}"
        )
    pairs = zip(student_stages, teacher_stages, strict=True)
    return _FittedStages([projector(one, other, batch_norm=batch_norm) for one, other in pairs])


def embedding_projector(
    student_embedding: Shape, teacher_embedding: Shape, *, always: bool = False
) -> nn.Module:
    """A linear layer from the student's embedding to the teacher's; nothing where they are as wide.

    Args:
        student_embedding: [B, D].
        teacher_embedding: [B, E].
        always: whether there is a layer even where they are as wide.

    Returns:
        A module that gives ``student_embedding`` [B, E].

    Raises:
        ValueError: if they are not two embeddings.
    """
    if len(student_embedding) != 2 or len(teacher_embedding) != 2:
        raise ValueError(f"want two [B, D], got {student_embedding} and {teacher_embedding}")
    width, wanted = student_embedding[1], teacher_embedding[1]
    return _Embedded(
        nn.Linear(width, wanted) if always else _regressor(width, wanted, False, False)
    )


def _regressor(width: int, wanted: int, of_maps: bool, batch_norm: bool) -> nn.Module:
    if width == wanted:
        return nn.Identity()
    if not of_maps:
        return nn.Linear(width, wanted)
    if not batch_norm:
        return nn.Conv2d(width, wanted, 1)
    return nn.Sequential(nn.Conv2d(width, wanted, 1, bias=False), nn.BatchNorm2d(wanted))


class _Fitted(nn.Module):
    """Pools first: it commutes with the convolution and leaves it less to do."""

    def __init__(self, regressor: nn.Module) -> None:
        super().__init__()
        self.regressor = regressor

    def forward(self, student_features: Tensor, teacher_features: Tensor) -> dict[str, Tensor]:
        one, other = tuple(student_features.shape), tuple(teacher_features.shape)
        return {
            "student_features": self.regressor(match_places(student_features, other)),
            "teacher_features": match_places(teacher_features.detach(), one),
        }


class _FittedStages(nn.Module):
    def __init__(self, projectors: list[nn.Module]) -> None:
        super().__init__()
        self.projectors = nn.ModuleList(projectors)

    def forward(
        self, student_stages: tuple[Tensor, ...], teacher_stages: tuple[Tensor, ...]
    ) -> dict[str, tuple[Tensor, ...]]:
        pairs = zip(self.projectors, student_stages, teacher_stages, strict=True)
        fitted = [project(one, other) for project, one, other in pairs]
        return {
            "student_stages": tuple(pair["student_features"] for pair in fitted),
            "teacher_stages": tuple(pair["teacher_features"] for pair in fitted),
        }


class _Embedded(nn.Module):
    def __init__(self, regressor: nn.Module) -> None:
        super().__init__()
        self.regressor = regressor

    def forward(self, student_embedding: Tensor, teacher_embedding: Tensor) -> dict[str, Tensor]:
        return {"student_embedding": self.regressor(widen(student_embedding))}
