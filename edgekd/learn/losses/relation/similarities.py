"""Losses that compare matrices of similarities: between samples, or between channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekd.learn.mathematics.directions import cosines
from edgekd.learn.mathematics.directions import unit
from edgekd.learn.mathematics.shapes import require_embeddings
from edgekd.learn.mathematics.shapes import require_several
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Positive


def sp(student_features: Tensor, teacher_features: Tensor, *, l1_rows: bool = False) -> Tensor:
    """||n(F_s F_s^T) - n(F_t F_t^T)||_F^2 / B^2, with rows of F the flattened samples.

    n brings each row to length 1 (Tung and Mori 2019, arXiv:1907.09682, eq. 4). It falls as the batch
    grows; the weight is for batches of 64.

    Args:
        student_features: [B, ...]; the gradient flows here.
        teacher_features: [B, ...], of any other sides; detached.
        l1_rows: whether rows are divided by the sum of their absolute values, as torchdistill does; the
            paper's are divided by their Euclidean norm.

    Returns:
        Scalar; 0 where features differ by a factor or a rotation.

    Raises:
        ValueError: if the batches differ, or are of one.
    """
    if len(student_features) != len(teacher_features):
        raise ValueError(
            f"want two [B, ...], got {tuple(student_features.shape)} and {tuple(teacher_features.shape)}"
        )
    require_several(student_features)
    student, teacher = widen(student_features), widen(teacher_features.detach())
    order = 1.0 if l1_rows else 2.0
    ours, theirs = (unit(_gram(f.flatten(1)), order=order) for f in (student, teacher))
    return (ours - theirs).square().sum() / len(ours) ** 2


def ickd(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """||n(F_s F_s^T) - n(F_t F_t^T)||_F^2 / (C B^2), summed over the batch, with rows of F the channels.

    n brings each row to length 1 (Liu et al. 2021, arXiv:2202.03680, sec. 3). Divided by the batch twice,
    as the authors' code does: it falls as the batch grows.

    Args:
        student_features: [B, C, H, W] or tokens [B, N, C]; the gradient flows here.
        teacher_features: as many channels, of any other sides; detached.

    Returns:
        Scalar; 0 where each sample's channels are alike to one another as the teacher's are.

    Raises:
        ValueError: if batches, kinds or channels differ.
    """
    one, other = tuple(student_features.shape), tuple(teacher_features.shape)
    if len(one) != len(other) or len(one) not in (3, 4):
        raise ValueError(f"want two [B, C, H, W] or [B, N, C], got {one} and {other}")
    ours, theirs = _channels(student_features), _channels(teacher_features.detach())
    if ours.shape[:2] != theirs.shape[:2]:
        raise ValueError(f"want as many samples and channels, got {one} and {other}")
    apart = (unit(_gram(ours)) - unit(_gram(theirs))).square().sum()
    return apart / (ours.shape[1] * len(ours) ** 2)


def pkt(
    student_embedding: Tensor, teacher_embedding: Tensor, *, epsilon: Positive = 1e-7
) -> Tensor:
    """p_t log(p_t / p_s), mean over all B^2 pairs of samples.

    p_ij is (cos(i, j) + 1) / 2 over its sum in row i: how likely i takes j for its neighbour (Passalis and
    Tefas 2018, arXiv:1803.10837, sec. 3). It falls as the batch grows; the weight is for batches of 64.

    Args:
        student_embedding: [B, D]; the gradient flows here.
        teacher_embedding: [B, E]; detached.
        epsilon: added to lengths and probabilities; 1e-7 is the authors'.

    Returns:
        Scalar, nats over B; 0 where both give the same neighbours.

    Raises:
        ValueError: if the shapes do not fit, or the batch is of one.
    """
    require_embeddings(student_embedding, teacher_embedding)
    require_several(student_embedding)
    student = _neighbours(widen(student_embedding), epsilon)
    teacher = _neighbours(widen(teacher_embedding.detach()), epsilon)
    return (teacher * ((teacher + epsilon) / (student + epsilon)).log()).mean()


def _neighbours(embedding: Tensor, epsilon: float) -> Tensor:
    likely = (cosines(embedding, tiny=epsilon).clamp(min=-1) + 1) / 2
    return likely / likely.sum(1, keepdim=True)


def _channels(features: Tensor) -> Tensor:
    """[B, C, places] of maps or tokens."""
    wide = widen(features)
    return wide.flatten(2) if wide.ndim == 4 else wide.transpose(1, 2)


def _gram(rows: Tensor) -> Tensor:
    return rows @ rows.transpose(-1, -2)
