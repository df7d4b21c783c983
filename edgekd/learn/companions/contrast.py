"""Embeds both networks and scores a sample against itself and others, remembered or of its batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.mathematics.directions import unit
from edgekd.learn.mathematics.shapes import require_several
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from edgekd.learn.mathematics.shapes import Shape
    from edgekd.settings import Count
    from edgekd.settings import Fraction
    from edgekd.settings import Positive

UNSET = -math.inf
"""Of a normalizer before the first batch."""


def contrast(
    student_embedding: Shape,
    teacher_embedding: Shape,
    sample_indices: Shape,
    *,
    samples: Count,
    dimension: Count = 128,
    negatives: Count = 16384,
    temperature: Positive = 0.07,
    momentum: Fraction = 0.5,
    bank: bool = True,
) -> nn.Module:
    """Of Tian et al. 2020 (arXiv:1910.10699, sec. 3): embeddings of length 1, and candidates for each sample.

    With a bank, both networks' embeddings of all samples are remembered, each moved by what it is now, and
    `negatives` are drawn from them anew for every sample: N = `samples`, K = `negatives`. Without one the
    candidates are the batch: N = B, K = B - 1. Candidates are constants in both. Scores are
    log P = e_anchor . e_candidate / temperature - log Z; Z is set by the first batch and kept.

    The authors draw from other classes alone, which leaves out one sample in a hundred on CIFAR-100. Of 10
    classes that leaves out one in ten, and cost 7 points on Fashion-MNIST (84.7 to 77.1 %, one seed):
    here all are drawn.

    Args:
        student_embedding: [B, D].
        teacher_embedding: [B, E].
        sample_indices: [B].
        samples: N, how many there are to learn from.
        dimension: of the common space.
        negatives: K, drawn with replacement.
        temperature: divides the cosines.
        momentum: how much of what was remembered stays.
        bank: whether embeddings of all samples are remembered: 8 `samples` `dimension` bytes.

    Returns:
        A module that gives ``student_scores`` and ``teacher_scores`` [B, 1 + K], the sample's own first, and
        ``noise_score`` [], log(K / N). It takes drawn indices [B, K], too.

    Raises:
        ValueError: if they are not two embeddings; without a bank, if the batch is of one.
    """
    if len(student_embedding) != 2 or len(teacher_embedding) != 2:
        raise ValueError(f"want two [B, *], got {student_embedding} and {teacher_embedding}")
    ours = nn.Linear(student_embedding[1], dimension)
    theirs = nn.Linear(teacher_embedding[1], dimension)
    if not bank:
        return _InBatch(ours, theirs, temperature)
    scores = _FromBank(ours, theirs, temperature)
    scores.remember(samples, dimension, negatives, momentum)
    return scores


class _Scores(nn.Module):
    """Both embeddings, and the normalizers log Z of the two sides."""

    log_z: Tensor

    def __init__(self, ours: nn.Module, theirs: nn.Module, temperature: float) -> None:
        super().__init__()
        self.ours, self.theirs, self.temperature = ours, theirs, temperature
        self.register_buffer("log_z", torch.full((2,), UNSET))

    def embedded(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        ours = self.ours(widen(student).flatten(1))
        theirs = self.theirs(widen(teacher.detach()).flatten(1))
        return unit(ours), unit(theirs)

    def scored(self, ours: Tensor, theirs: Tensor, noise: float, count: int) -> dict[str, Tensor]:
        """Of cosines [B, 1 + K] of both sides, with N = `count`."""
        sides = torch.stack([ours, theirs]) / self.temperature
        with torch.no_grad():
            first = sides.flatten(1).logsumexp(1) - math.log(ours.numel()) + math.log(count)
            log_z = torch.where(self.log_z == UNSET, first.to(self.log_z), self.log_z)
            if self.training:
                self.log_z.copy_(log_z)
        student, teacher = sides - log_z[:, None, None].to(sides)
        return {
            "student_scores": student,
            "teacher_scores": teacher,
            "noise_score": student.new_tensor(noise),
        }


class _InBatch(_Scores):
    def forward(
        self, student_embedding: Tensor, teacher_embedding: Tensor, sample_indices: Tensor
    ) -> dict[str, Tensor]:
        require_several(student_embedding)
        student, teacher = self.embedded(student_embedding, teacher_embedding)
        batch = len(student)
        # Row i of [B, B] with its diagonal moved to the front.
        order = torch.arange(batch, device=student.device)
        order = (order.unsqueeze(0) + order.unsqueeze(1)) % batch
        ours = (student @ teacher.detach().T).gather(1, order)
        theirs = (teacher @ student.detach().T).gather(1, order)
        return self.scored(ours, theirs, math.log((batch - 1) / batch), batch)


class _FromBank(_Scores):
    ours_before: Tensor
    theirs_before: Tensor

    def remember(self, samples: int, dimension: int, negatives: int, momentum: float) -> None:
        """Begin with uniform numbers, of length 1 on average, as the authors do."""
        self.negatives, self.momentum = negatives, momentum
        bound = math.sqrt(3 / dimension)
        for name in ("ours_before", "theirs_before"):
            self.register_buffer(name, (2 * torch.rand(samples, dimension) - 1) * bound)

    def forward(
        self,
        student_embedding: Tensor,
        teacher_embedding: Tensor,
        sample_indices: Tensor,
        drawn: Tensor | None = None,
    ) -> dict[str, Tensor]:
        student, teacher = self.embedded(student_embedding, teacher_embedding)
        drawn = self._drawn(len(student)) if drawn is None else drawn
        chosen = torch.cat([sample_indices.unsqueeze(1), drawn.to(sample_indices)], 1)
        # All N products and then the chosen ones: far less memory than B K remembered vectors.
        ours = (student @ self.theirs_before.T).gather(1, chosen)
        theirs = (teacher @ self.ours_before.T).gather(1, chosen)
        count = len(self.ours_before)
        made = self.scored(ours, theirs, math.log(drawn.shape[1] / count), count)
        if self.training:
            self.ours_before = self._moved(self.ours_before, sample_indices, student)
            self.theirs_before = self._moved(self.theirs_before, sample_indices, teacher)
        return made

    def _drawn(self, batch: int) -> Tensor:
        shape, count = (batch, self.negatives), len(self.ours_before)
        if not self.training:
            return torch.arange(self.negatives).remainder(count).expand(shape)
        # Drawn on the CPU, whose generator is in the checkpoint, whatever device trains.
        return torch.randint(count, shape, device="cpu")

    @torch.no_grad()
    def _moved(self, before: Tensor, rows: Tensor, now: Tensor) -> Tensor:
        """A new tensor: the old one is still needed for the gradient."""
        mixed = self.momentum * before[rows] + (1 - self.momentum) * now.to(before)
        return before.index_copy(0, rows, unit(mixed))
