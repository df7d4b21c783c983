"""Teachers of whom only the likeliest classes are kept, as stored answers are.

A teacher's answer to a token is k class indices and their logits or log-probabilities. What it said of all other
classes is lost but for their sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.mathematics.divergence import Divergence
from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.mathematics.tokens import Tokenwise

MISSING = ("rest", "zero", "raw")
"""What may be made of the mass that was not kept; see `top_k_divergence`."""


class TopK(NamedTuple):
    """A teacher's likeliest classes, token by token."""

    indices: Tensor
    """[..., k], int64."""
    log_probabilities: Tensor
    """[..., k], of the softmax over all classes, at least float32."""


@dataclass(frozen=True, slots=True)
class TopKLogits:
    """A teacher's logits of which the likeliest are known, and what all others weigh together."""

    indices: Tensor
    """[..., k], any integer type, no class twice."""
    values: Tensor
    """[..., k], their logits."""
    rest: Tensor
    """[...], T log sum exp(z / T) of all others."""
    classes: int
    """V, more than k."""
    temperature: float = 1.0
    """T at which `rest` is exact."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the logits that these stand for."""
        return (*self.rest.shape, self.classes)

    @property
    def ndim(self) -> int:
        """As of a tensor."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self.rest)

    def __getitem__(self, counting: Tensor) -> TopKLogits:
        """Those of the tokens that are chosen."""
        return TopKLogits(
            self.indices[counting],
            self.values[counting],
            self.rest[counting],
            self.classes,
            self.temperature,
        )

    def to(self, device: torch.device) -> TopKLogits:
        """On a device; the host does not wait until they have come to an accelerator."""
        indices, values, rest = (
            each.to(device, non_blocking=True) for each in (self.indices, self.values, self.rest)
        )
        return TopKLogits(indices, values, rest, self.classes, self.temperature)

    def flatten(self) -> TopKLogits:
        """All tokens on one axis."""
        top = self.indices.shape[-1]
        indices, values = self.indices.reshape(-1, top), self.values.reshape(-1, top)
        rest = self.rest.reshape(-1)
        return TopKLogits(indices, values, rest, self.classes, self.temperature)

    def log_probabilities(self, temperature: float) -> tuple[Tensor, Tensor]:
        """[..., k] of the likeliest classes at a temperature and [...] of all others together, at least float32.

        At another temperature than that at which they were cut the others are taken to be alike.
        """
        rest = widen(self.weigh_others(temperature)).unsqueeze(-1)
        whole = torch.cat([widen(self.values), rest], -1)
        found = F.log_softmax(whole / temperature, -1)
        return found[..., :-1], found[..., -1]

    def weigh_others(self, temperature: float) -> Tensor:
        """[...], T log sum exp(z / T) of all others at a temperature: exact at that at which they were cut."""
        return self.rest + (temperature - self.temperature) * math.log(self._others)

    def spread(self) -> Tensor:
        """Logits [..., V] in which all others are alike, and weigh what they weigh."""
        each = self.rest - self.temperature * math.log(self._others)
        whole = each.unsqueeze(-1).expand(self.shape).contiguous()
        return whole.scatter_(-1, self.indices.long(), self.values)

    @property
    def _others(self) -> int:
        return self.classes - self.indices.shape[-1]


def cut_logits(logits: Tensor, top: int, *, temperature: float = 1.0) -> TopKLogits:
    """Keep the `top` likeliest classes of each token, and what all others weigh together.

    Args:
        logits: [P, V], floats.
        top: k, from 1 to V - 1.
        temperature: T of the others' weight, above 0.

    Returns:
        Of each token k classes in ascending order; values and rests in float32.
    """
    wide = logits.float()
    indices = wide.topk(top, dim=-1).indices.sort(-1).values
    values = wide.gather(-1, indices)
    others = wide.scatter(-1, indices, -math.inf)
    most = others.amax(-1, keepdim=True)
    weight = ((others - most) / temperature).exp_().sum(-1, dtype=torch.float64)
    rest = most.squeeze(-1) + temperature * weight.log()
    return TopKLogits(indices, values, rest.float(), logits.shape[-1], temperature)


def top_k(teacher_logits: Tensor, top: int, *, temperature: float = 1.0) -> TopK:
    """Return the `top` likeliest classes, all where there are fewer.

    Args:
        teacher_logits: [..., V]; detached.
        top: k, at least 1.
        temperature: T of the softmax, above 0. It cannot be changed once the rest is lost.

    Returns:
        Indices and log-probabilities [..., min(k, V)], the likeliest first.
    """
    everything = F.log_softmax(widen(teacher_logits.detach()) / temperature, -1)
    log_probabilities, indices = everything.topk(min(top, everything.shape[-1]), dim=-1)
    return TopK(indices, log_probabilities)


def top_k_divergence(
    divergence: Divergence, missing: str = "rest", temperature: float = 1.0
) -> Tokenwise:
    """Make a divergence from a teacher's top-k classes, times T^2.

    `missing` says what is made of the probability of all other classes:

    - ``rest``: they are one class more, on both sides. A lower bound of the dense divergence, exact
      where teacher and student share out the rest alike.
    - ``zero``: the teacher is taken to exclude them, and renormalised over what it kept.
    - ``raw``: they are left out of the sum. No divergence: it may be negative, and a copy of the
      teacher need not be its minimum.

    Where all classes are kept, all three are the dense divergence.

    Args:
        divergence: of log-probabilities.
        missing: one of `MISSING`.
        temperature: T of the student, above 0; the log-probabilities were kept at the same.

    Returns:
        A function of the student's logits [..., V] (the gradient flows here), class indices [..., k], any
        integer type, no class twice, and log-probabilities [..., k], detached; to [...]. Where that of all other
        classes together is known, too, it is given behind them, [...]; else it is what is left to 1. It raises
        ValueError if their shapes do not fit.

    Raises:
        ValueError: if `missing` is unknown.
    """
    if missing not in MISSING:
        raise ValueError(f"got missing {missing!r}, want one of {', '.join(MISSING)}")

    def of_pairs(
        student_logits: Tensor,
        indices: Tensor,
        log_probabilities: Tensor,
        rest: Tensor | None = None,
    ) -> Tensor:
        _want_pairs(student_logits, indices, log_probabilities)
        indices, teacher = indices.long(), widen(log_probabilities.detach())
        everything = F.log_softmax(widen(student_logits) / temperature, -1)
        student = everything.gather(-1, indices)
        if missing != "raw" and indices.shape[-1] < everything.shape[-1]:
            others = everything.scatter(-1, indices, -math.inf).logsumexp(-1, keepdim=True)
            student = torch.cat([student, others], -1)
            teacher = _without_rest(teacher) if missing == "zero" else _with_rest(teacher, rest)
        return divergence(student, teacher) * temperature**2

    return of_pairs


def _with_rest(teacher: Tensor, known: Tensor | None) -> Tensor:
    """[..., k + 1]: the rest, or what k log-probabilities leave to 1, behind them; 0 where they exceed it."""
    if known is not None:
        return torch.cat([teacher, widen(known).unsqueeze(-1)], -1)
    rest = -torch.expm1(teacher.logsumexp(-1, keepdim=True))
    # The least number instead of none: its logarithm is finite, and it weighs nothing.
    return torch.cat([teacher, rest.clamp(min=torch.finfo(rest.dtype).tiny).log()], -1)


def _without_rest(teacher: Tensor) -> Tensor:
    """[..., k + 1]: k log-probabilities that add up to 1, and one of nothing."""
    nothing = math.log(torch.finfo(teacher.dtype).tiny)
    return F.pad(teacher.log_softmax(-1), (0, 1), value=nothing)


def _want_pairs(student: Tensor, indices: Tensor, log_probabilities: Tensor) -> None:
    shapes = [tuple(tensor.shape) for tensor in (student, indices, log_probabilities)]
    alike = shapes[0][:-1] == shapes[1][:-1] and shapes[1] == shapes[2]
    if not alike or not 1 <= shapes[1][-1] <= shapes[0][-1]:
        raise ValueError(f"want [..., V] and two [..., k], k <= V, got {shapes}")
