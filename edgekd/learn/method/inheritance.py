"""A teacher's parameters as knowledge: a student is begun with them, or held near them."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.layer_choice import CHOSEN
from edgekd.learn.layer_choice import spread_evenly
from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.settings import InheritRule

RULES: tuple[InheritRule, ...] = get_args(InheritRule)
"""Which tensors a student may inherit; each rule allows what the one before it does.

- ``same``: those of the same path and shape;
- ``spread``: where a list of like blocks is shorter than the teacher's, its blocks stand for blocks
  spread over the teacher's, first and last included (of 12: 0, 2, 4, 7, 9, 11, as in DistilBERT);
- ``slice``: where a tensor is smaller than the teacher's, too, the leading part of each axis.
"""
AS_BUILT = "as built"
"""Stands in a plan for what is not inherited."""
_KERNEL = 4
"""Tensors of so many axes or more end in the sides of a kernel."""


def plan_inheritance(
    student: nn.Module, teacher: nn.Module, rule: InheritRule = "slice"
) -> dict[str, str]:
    """Plan which tensor of the student comes from which of the teacher's, by names and shapes alone.

    Args:
        student: is not changed.
        teacher: has its tensors under the same paths, save for the numbers of blocks.
        rule: see `RULES`.

    Returns:
        Name of each tensor of the student, buffers included, to the teacher's, or to `AS_BUILT`.

    Raises:
        ValueError: for another rule.
    """
    if rule not in RULES:
        raise ValueError(f"got rule {rule!r}, want same, spread or slice")
    own, theirs = student.state_dict(), teacher.state_dict()
    paths = dict(_counterparts(student, teacher, "", "", rule != "same"))
    return {name: _origin(name, tensor, paths, theirs, rule) for name, tensor in own.items()}


def inherit_layers(
    student: nn.Module, teacher: nn.Module, rule: InheritRule = "slice"
) -> dict[str, str]:
    """Begin the student with the teacher's layers, in place.

    Whole layers: Sanh et al. 2019 (arXiv:1910.01108, sec. 3). Leading slices: Yu et al. 2019
    (arXiv:1812.08928) of channels; of a kernel its centre, Cai et al. 2020 (arXiv:1908.09791,
    sec. 3.3). Slices go on fitting one another where every layer reads all channels of the one
    before; after channels were joined or dealt out to groups or heads they are a mere beginning.
    Batch norms of a slice keep statistics of the whole and want training, or measuring anew.

    Args:
        student: its tensors keep their types and their device.
        teacher: is not changed.
        rule: see `RULES`.

    Returns:
        What came from where; see `plan_inheritance`.

    Raises:
        ValueError: for another rule, or if no parameter can be inherited.
    """
    found = plan_inheritance(student, teacher, rule)
    own, theirs = student.state_dict(), teacher.state_dict()
    if all(found[name] == AS_BUILT for name, _ in student.named_parameters()):
        raise ValueError("got a teacher none of whose parameters fits the student's")
    with torch.no_grad():
        for name, origin in found.items():
            if origin != AS_BUILT:
                own[name].copy_(slice_leading(theirs[origin], own[name].shape))
    return found


def weight_distance(student: nn.Module, plan: Mapping[str, str], teacher: nn.Module) -> Tensor:
    """Mean squared distance of the student's parameters to those they were begun with.

    L2-SP (Li, Grandvalet and Davoine 2018, arXiv:1802.01483, sec. 3) with a mean for their sum: a
    weight w here is their alpha of 2 w / n for n inherited numbers. What was not inherited is left to
    the optimizer's weight decay (their beta).

    Args:
        student: the gradient flows here.
        plan: what came from where, from `inherit_layers`; buffers are passed over.
        teacher: detached.

    Returns:
        Scalar; 0 right after `inherit_layers`.

    Raises:
        ValueError: if no parameter was inherited.
    """
    own, theirs = dict(student.named_parameters()), dict(teacher.named_parameters())
    total, count = torch.zeros(()), 0
    for name, parameter in own.items():
        if plan.get(name, AS_BUILT) == AS_BUILT:
            continue
        wanted = slice_leading(theirs[plan[name]].detach(), parameter.shape).to(parameter.device)
        total = total.to(parameter.device) + (widen(parameter) - widen(wanted)).square().sum()
        count += parameter.numel()
    if not count:
        raise ValueError("got no inherited parameter, want some to hold the student to")
    return total / count


def slice_leading(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the leading part of each axis, the centre of a kernel's sides; a view.

    Args:
        tensor: of a wider layer.
        shape: as many axes, none longer.

    Raises:
        ValueError: if the tensor has other axes or is smaller.
    """
    if not _within(shape, tensor.shape):
        raise ValueError(f"got {tuple(tensor.shape)}, want {tuple(shape)} to fit into it")
    for axis, size in enumerate(shape):
        inside = axis >= 2 and tensor.ndim >= _KERNEL
        start = (tensor.shape[axis] - size) // 2 if inside else 0
        tensor = tensor.narrow(axis, start, size)
    return tensor


def _within(shape: Sequence[int], whole: Sequence[int]) -> bool:
    return len(shape) == len(whole) and all(a <= b for a, b in zip(shape, whole, strict=True))


def _origin(
    name: str,
    tensor: Tensor,
    paths: Mapping[str, str],
    theirs: Mapping[str, Tensor],
    rule: InheritRule,
) -> str:
    path, dot, leaf = name.rpartition(".")
    if path not in paths:
        return AS_BUILT
    there = f"{paths[path]}{dot}{leaf}"
    if there not in theirs:
        return AS_BUILT
    shape, whole = tensor.shape, theirs[there].shape
    fits = _within(shape, whole) if rule == "slice" else shape == whole
    return there if fits else AS_BUILT


def _counterparts(
    student: nn.Module, teacher: nn.Module, path: str, there: str, spread: bool
) -> Iterator[tuple[str, str]]:
    """Paths of modules that stand for one another, from these two down."""
    yield path, there
    names = {name: name for name, _ in student.named_children()}
    if spread and _alike(student) and _alike(teacher):
        names = _spread(student, teacher)
    below = dict(teacher.named_children())
    for name, child in student.named_children():
        other = names[name]
        if other in below:
            yield from _counterparts(
                child, below[other], _joined(path, name), _joined(there, other), spread
            )


def _alike(module: nn.Module) -> bool:
    """Return whether this is a list of blocks of one kind: children with numbers for names."""
    children = list(module.named_children())
    kinds = {type(child) for _, child in children}
    return len(kinds) == 1 and all(name.isdecimal() for name, _ in children)


def _spread(student: nn.Module, teacher: nn.Module) -> dict[str, str]:
    """Each block of a list to one of the teacher's: those that the student was built of, where it names them, else
    evenly; a longer list keeps its names."""
    names, others = ([name for name, _ in each.named_children()] for each in (student, teacher))
    if len(names) >= len(others):
        return {name: name for name in names}
    chosen: tuple[int, ...] = getattr(student, CHOSEN, ())
    if len(chosen) != len(names) or chosen[-1] >= len(others):
        chosen = spread_evenly(len(names), len(others))
    return {name: others[number] for name, number in zip(names, chosen, strict=True)}


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def hold_to_inherited(
    weight: float, student: nn.Module, plan: Mapping[str, str], teacher: nn.Module, scheme: Scheme
) -> Scheme:
    """Add the term ``weight-distance`` to a scheme: it holds the student to what it inherited.

    Args:
        weight: of the mean squared distance; 0 leaves the scheme as it is.
        student: what is trained.
        plan: what came from where, from `inherit_layers`.
        teacher: is moved to the student's device.
        scheme: that teaches.
    """
    if not weight:
        return scheme

    def lessons(learner: nn.Module, batch: TensorBatch) -> Sequence[Lesson]:
        first, *others = scheme.lessons(learner, batch)
        teacher.to(batch.device)
        distance = weight * weight_distance(student, plan, teacher)
        return [first._replace(own={**first.own, "weight-distance": distance}), *others]

    return Scheme(lessons, scheme.companions)
