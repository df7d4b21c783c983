"""One network trained with narrower ones inside it, which learn from the largest in place."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn
from torch.func import functional_call

from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.method.inheritance import slice_leading
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals

if TYPE_CHECKING:
    from edgekd.settings import Count


def supernet(
    student: nn.Module,
    build_smaller: Callable[[str, int], nn.Module],
    *,
    knob: str = "base",
    values: str = "4, 8",
    sampled: Count = 2,
) -> Scheme:
    """`build_nested` with subnets that differ from the student in one knob of its builder.

    What is shipped is the largest; a later step whose smaller model says ``inherit: {teacher: distil-1}``
    takes a subnet out and trains it on.

    Args:
        student: the largest.
        build_smaller: builds a network like the student but for one knob.
        knob: its name, such as ``base``.
        values: whole numbers with commas between, each below the student's own: ``4, 8``.
        sampled: how many subnets learn in a step.

    Raises:
        ValueError: if a value is no number, or as `build_nested`.
    """
    try:
        numbers = [int(value) for value in values.split(",")]
    except ValueError:
        raise ValueError(f"values: got {values!r}, want whole numbers: 4, 8") from None
    return build_nested(
        student, [build_smaller(knob, number) for number in numbers], sampled=sampled
    )


def build_nested(student: nn.Module, subnets: Sequence[nn.Module], *, sampled: int = 2) -> Scheme:
    """Build the scheme: the largest learns from labels, some of the others from it (the sandwich rule).

    At each step the smallest subnet and ``sampled - 1`` others drawn at random run with slices of the
    student's weights (Yu and Huang 2019, arXiv:1903.05134, sec. 4; Yu et al. 2020, BigNAS,
    arXiv:2003.11142, sec. 3.1). Their ``labels`` are the largest's probabilities, so that cross-entropy
    alone is in-place distillation; their ``teacher_logits`` are its logits, its own teacher is itself.

    Args:
        student: the largest.
        subnets: built like the student with smaller knobs. Their own weights are not used; the
            statistics of their batch norms are theirs alone (switchable, scale and shift are not),
            and lie in the scheme's companions under ``subnets``, in the order given.
        sampled: how many subnets learn in a step; no more than there are.

    Raises:
        ValueError: if there is no subnet, or one does not fit into the student.
    """
    if not subnets:
        raise ValueError("got no subnets, want at least one")
    for subnet in subnets:
        _slices(student, subnet)
        subnet.to(next(student.parameters()).device).requires_grad_(False)
    ranked = sorted(subnets, key=lambda subnet: sum(p.numel() for p in subnet.parameters()))

    def lessons(largest: nn.Module, batch: TensorBatch) -> list[Lesson]:
        known, logits = label_signals(batch), largest(*batch.inputs)
        told = logits.detach()
        soft = torch.softmax(widen(told), 1)
        taught = [Lesson({"student_logits": logits, "teacher_logits": told, **known})]
        for number in _drawn(len(ranked), sampled):
            subnet = ranked[number].train(largest.training)
            answers = {"student_logits": run_shared(student, subnet, *batch.inputs)}
            taught.append(Lesson({**known, **answers, "teacher_logits": told, "labels": soft}))
        return taught

    return Scheme(lessons, nn.ModuleDict({"subnets": nn.ModuleList(subnets)}))


def run_shared(student: nn.Module, subnet: nn.Module, *inputs: Tensor) -> Tensor:
    """Run the subnet with the student's weights: the gradient flows into the slices.

    Args:
        student: the largest.
        subnet: its buffers are used and, in training mode, updated.
        inputs: each [B, ...].
    """
    logits: Tensor = functional_call(subnet, _slices(student, subnet), inputs)
    return logits


def _slices(student: nn.Module, subnet: nn.Module) -> dict[str, Tensor]:
    """Each parameter of the subnet as a view into the student's of the same name."""
    whole, parts = dict(student.named_parameters()), {}
    for name, parameter in subnet.named_parameters():
        if name not in whole:
            raise ValueError(f"got a subnet with {name!r}, which the student has not")
        try:
            parts[name] = slice_leading(whole[name], parameter.shape)
        except ValueError as error:
            raise ValueError(f"{name} of a subnet: {error}") from error
    return parts


def _drawn(count: int, sampled: int) -> list[int]:
    """The smallest, 0, and others without repetition."""
    others = torch.randperm(count - 1, device="cpu")[: sampled - 1] + 1
    return [0, *others.tolist()]
