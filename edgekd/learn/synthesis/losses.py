"""What made images are judged by: the teacher's answers, its batch norms, the pixels, a memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import require_embeddings
from edgekd.learn.mathematics.shapes import require_same_logits
from edgekd.learn.mathematics.shapes import widen


class Moments(NamedTuple):
    """Mean and variance of one batch norm's inputs, beside those it remembers of training; each [C]."""

    mean: Tensor
    variance: Tensor
    """Biased: over all samples and places."""
    running_mean: Tensor
    running_variance: Tensor


def one_hot(teacher_logits: Tensor) -> Tensor:
    """Cross-entropy to the class the teacher names: small where it is sure.

    Chen et al. 2019 (DAFL, arXiv:1904.01186, sec. 3.2).

    Args:
        teacher_logits: [B, C]; the gradient flows here, and on to the images.

    Returns:
        Scalar, nats; never negative.

    Raises:
        ValueError: if they are not [B, C].
    """
    logits = _logits(teacher_logits)
    return F.cross_entropy(logits, logits.detach().argmax(1))


def information_entropy(teacher_logits: Tensor) -> Tensor:
    """The negative entropy of the classes' mean probabilities: least where all are as common.

    Chen et al. 2019 (DAFL, arXiv:1904.01186, sec. 3.2), in nats. The authors' code (and mmrazor's) has the
    logarithm to base 10: their weight is worth 2.3 times less here.

    Args:
        teacher_logits: [B, C]; the gradient flows here.

    Returns:
        Scalar, nats, from -ln C to 0.

    Raises:
        ValueError: if they are not [B, C].
    """
    log_each = F.log_softmax(_logits(teacher_logits), 1)
    # From the logarithms: a class of probability 0 has a finite gradient, too.
    log_mean = log_each.logsumexp(0) - math.log(len(log_each))
    return (log_mean.exp() * log_mean).sum()


def activation(embedding: Tensor) -> Tensor:
    """The negative mean of the absolute embedding: real images excite a teacher more than noise.

    Chen et al. 2019 (DAFL, arXiv:1904.01186, sec. 3.2); the mean over samples and numbers, as in the
    authors' code.

    Args:
        embedding: [B, D], what enters the teacher's classifier; the gradient flows here.

    Returns:
        Scalar; never positive.

    Raises:
        ValueError: if it is not [B, D].
    """
    if embedding.ndim != 2:
        raise ValueError(f"want [B, D], got {tuple(embedding.shape)}")
    return widen(embedding).abs().mean().neg()


def batch_norm_statistics(moments: Sequence[Moments]) -> Tensor:
    """Sum over batch norms of ||mean - running mean|| + ||variance - running variance||.

    Yin et al. 2020 (DeepInversion, arXiv:1912.08795, eq. 4), Euclidean norms.

    Args:
        moments: of every batch norm; the gradient flows to `mean` and `variance`.

    Returns:
        Scalar; 0 where the images look as the training data did, never negative.

    Raises:
        ValueError: if there is no batch norm.
    """
    if not moments:
        raise ValueError("got no batch normalization with statistics, want at least one")
    return torch.stack(
        [
            (one.mean - one.running_mean.detach()).norm()
            + (one.variance - one.running_variance.detach()).norm()
            for one in moments
        ]
    ).sum()


def total_variation(images: Tensor) -> Tensor:
    """Differences of neighbours along both axes and both diagonals: small where an image is smooth.

    Yin et al. 2020 (DeepInversion, arXiv:1912.08795, eq. 3), the Euclidean norm along each of the four.
    The norm is an image's own, its mean is over the batch: the authors' norm is the whole batch's and
    grows with its size.

    Args:
        images: [B, C, H, W]; the gradient flows here.

    Returns:
        Scalar; 0 where every image is of one colour.

    Raises:
        ValueError: if they are not [B, C, H, W].
    """
    images = _images(images)
    along = (
        images[..., :, 1:] - images[..., :, :-1],
        images[..., 1:, :] - images[..., :-1, :],
        images[..., 1:, :-1] - images[..., :-1, 1:],
        images[..., :-1, :-1] - images[..., 1:, 1:],
    )
    return torch.stack([one.flatten(1).norm(dim=1) for one in along]).sum(0).mean()


def length(images: Tensor) -> Tensor:
    """The Euclidean norm of an image, mean over the batch.

    Yin et al. 2020 (DeepInversion, arXiv:1912.08795, eq. 3).

    Args:
        images: [B, C, H, W], normalised; the gradient flows here.

    Raises:
        ValueError: if they are not [B, C, H, W].
    """
    return _images(images).flatten(1).norm(dim=1).mean()


def divergence(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """KL(teacher || student), mean over the batch, with a gradient to both.

    Micaelli and Storkey 2019 (ZSKT, arXiv:1905.09768, sec. 3): what their generator climbs.

    Args:
        student_logits: [B, C].
        teacher_logits: [B, C].

    Returns:
        Scalar, nats; 0 where both agree, never negative.

    Raises:
        ValueError: if the shapes differ or are not [B, C].
    """
    require_same_logits(student_logits, teacher_logits)
    log_s, log_t = (F.log_softmax(widen(one), 1) for one in (student_logits, teacher_logits))
    return F.kl_div(log_s, log_t, reduction="batchmean", log_target=True)


def absolute_difference(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """The mean absolute difference of logits, with a gradient to both.

    Fang et al. 2019 (DFAD, arXiv:1912.11006, sec. 3): a distance whose gradient does not fade where
    student and teacher nearly agree.

    Args:
        student_logits: [B, C].
        teacher_logits: [B, C].

    Returns:
        Scalar; 0 where both agree, never negative.

    Raises:
        ValueError: if the shapes differ or are not [B, C].
    """
    require_same_logits(student_logits, teacher_logits)
    return F.l1_loss(widen(student_logits), widen(teacher_logits))


def contrast(
    anchors: Tensor, positives: Tensor, memory: Tensor, *, temperature: float = 0.1
) -> Tensor:
    """Return how hard it is to tell an image's other view from all other images, made now or before.

    Mean cross-entropy of the cosines over the temperature, row i's right answer being positive i (Fang et
    al. 2021, CMI, arXiv:2105.08584, sec. 3). Images that differ from each other and from the memory make
    it small.

    Args:
        anchors: [B, D], of one view of each image.
        positives: [B, D], of another; those of other images are negatives.
        memory: [M, D], of images made before: negatives; M may be 0.
        temperature: above 0.

    Returns:
        Scalar, nats; never negative.

    Raises:
        ValueError: if they are not [B, D], [B, D] and [M, D].
    """
    require_embeddings(anchors, positives, same=True)
    if memory.ndim != 2 or memory.shape[1:] != anchors.shape[1:]:
        raise ValueError(f"want a memory [M, {anchors.shape[1]}], got {tuple(memory.shape)}")
    known = F.normalize(torch.cat((widen(positives), widen(memory))), dim=1)
    cosines = F.normalize(widen(anchors), dim=1) @ known.T
    return F.cross_entropy(cosines / temperature, torch.arange(len(anchors), device=cosines.device))


def _logits(teacher_logits: Tensor) -> Tensor:
    if teacher_logits.ndim != 2:
        raise ValueError(f"want [B, C], got {tuple(teacher_logits.shape)}")
    return widen(teacher_logits)


def _images(images: Tensor) -> Tensor:
    if images.ndim != 4:
        raise ValueError(f"want [B, C, H, W], got {tuple(images.shape)}")
    return widen(images)
