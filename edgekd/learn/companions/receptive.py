"""Receptive tokens: learn on the teacher's map alone where it pays to look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.mathematics.alignment import align_maps
from edgekd.learn.mathematics.alignment import require_common_map
from edgekd.learn.mathematics.alignment import widener
from edgekd.learn.mathematics.fitting import count_channels

if TYPE_CHECKING:
    from edgekd.learn.mathematics.shapes import Shape
    from edgekd.settings import Count
    from edgekd.settings import NonNegative

TINY = 1e-12
"""Added to squared masks before they divide, as the authors do."""


def receptive(
    student_features: Shape,
    teacher_features: Shape,
    labels: Shape,
    *,
    classes: Count,
    tokens: Count = 6,
    diversity: NonNegative = 1.0,
) -> nn.Module:
    """Of Huang et al. 2023 (arXiv:2205.14589, sec. 3): masks sigmoid(token . pixel), weights, their own loss.

    The tokens learn from the task, on the teacher's map with all masks put on it, and from the Dice
    coefficient between masks, which keeps them apart. The authors send the masked map through the rest of
    the teacher; that is not at hand here, so a linear layer on its mean reads the classes instead.

    Args:
        student_features: [B, C, H, W].
        teacher_features: [B, C', H', W'].
        labels: [B] or [B, classes].
        classes: how many there are.
        tokens: T, how many masks.
        diversity: weight of the Dice coefficient.

    Returns:
        A module that gives ``student_features`` and ``teacher_features`` of one shape, ``masks`` [B, T, H, W]
        and ``mask_weights`` [B, T] without gradient, and ``token_loss`` [].

    Raises:
        ValueError: if there is no map that both can be brought to.
    """
    require_common_map(student_features, teacher_features)
    width = count_channels(teacher_features)
    align = widener(count_channels(student_features), width)
    return _Receptive(align, width, classes, tokens, diversity)


class _Receptive(nn.Module):
    def __init__(
        self, align: nn.Module, width: int, classes: int, tokens: int, diversity: float
    ) -> None:
        super().__init__()
        self.align, self.diversity = align, diversity
        self.tokens = nn.Parameter(0.01 * torch.randn(tokens, width))
        self.look = nn.Conv2d(width, width, 3, padding=1)
        self.weigh = nn.Linear(width, tokens)
        self.read = nn.Linear(width, classes)

    def forward(
        self, student_features: Tensor, teacher_features: Tensor, labels: Tensor
    ) -> dict[str, Tensor]:
        student, teacher = align_maps(student_features, teacher_features)
        masks = torch.einsum("tc,bchw->bthw", self.tokens, teacher).sigmoid()
        weights = self.weigh(self.look(teacher).mean((2, 3))).softmax(1)
        together = torch.einsum("bt,bthw->bhw", weights, masks)
        logits = self.read((teacher * together.unsqueeze(1)).mean((2, 3)))
        learnt = F.cross_entropy(logits, labels) + self.diversity * dice_similarity(masks)
        return {
            "student_features": self.align(student),
            "teacher_features": teacher,
            "masks": masks.detach(),
            "mask_weights": weights.detach(),
            "token_loss": learnt,
        }


def dice_similarity(masks: Tensor) -> Tensor:
    """Return the Dice coefficient 2 a.b / (a.a + b.b), mean over samples and pairs of masks [B, T, H, W].

    0 where there is one mask only.
    """
    flat = masks.flatten(2)
    products = flat @ flat.transpose(1, 2)
    squares = products.diagonal(dim1=1, dim2=2)
    dice = 2 * products / (squares.unsqueeze(1) + squares.unsqueeze(2) + 2 * TINY)
    count = masks.shape[1]
    others = 1 - torch.eye(count, dtype=masks.dtype, device=masks.device)
    return (dice * others).sum() / max(1, len(masks) * count * (count - 1))
