"""A trained model in the form its authors deploy, shown to give the same answers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.blueprint import Blueprint
from edgekd.learn.edits import deploy
from edgekd.learn.forward_pass import Outputs
from edgekd.learn.forward_pass import as_tuple
from edgekd.learn.model_inputs import Inputs
from edgekd.progress import Progress
from edgekd.units import number_text

TOLERANCE = 1e-5
"""Largest difference of a logit, as part of the largest one."""
COMPARED = 4
"""Images that do for it."""


class DeployForm(NamedTuple):
    """A model and what was done to it."""

    model: nn.Module
    paths: tuple[str, ...]
    """Modules that were merged, in order; what the edit `deploy` replays."""
    left: tuple[str, ...]
    """Those that stay, since merged they fail or answer otherwise."""
    difference: float
    """Of any output, as part of its largest number."""
    convolutions: tuple[int, int]
    """Before and after."""

    def edits(self) -> tuple[dict[str, Any], ...]:
        """Return what a blueprint keeps of it."""
        return ({"name": "deploy", "paths": list(self.paths)},) if self.paths else ()

    def sentence(self) -> str:
        """Return what was merged and what was left, in words."""
        before, after = self.convolutions
        merged = (
            f"deploy form: {number_text(len(self.paths), 'module')} merged, {number_text(after, 'convolution')} in place of "
            f"{before}, logits within {self.difference:.1g} of the largest"
        )
        if not self.left:
            return merged
        return f"{merged}; left since merged they answer otherwise: {', '.join(self.left)}"

    def summary(self) -> dict[str, Any]:
        """Return what a report says of it."""
        before, after = self.convolutions
        return {
            "modules": len(self.paths),
            "left": list(self.left),
            "difference": self.difference,
            "convolutions_before": before,
            "convolutions_after": after,
        }


def merge_branches(
    model: nn.Module, plan: Blueprint, progress: Progress
) -> tuple[nn.Module, Blueprint]:
    """The model in deploy form and the blueprint that says so: what is made smaller is what will run, and
    branches that were lowered one by one could not be merged any more.

    Args:
        model: float32; left as it is.
        plan: its blueprint.
        progress: is told if anything was merged or left.
    """
    form = to_deploy_form(model, *plan.noise(COMPARED))
    if form.paths or form.left:
        progress.note(form.sentence())
    return form.model, plan.model_copy(update={"edits": (*plan.edits, *form.edits())})


def to_deploy_form(model: nn.Module, *inputs: Tensor) -> DeployForm:
    """Put every module of `model` that has a deploy form into it, if the answers stay.

    Modules are merged in double precision and compared in it, so that a difference is none of rounding.

    Args:
        model: float32; left as it is.
        inputs: each [B, ...], on which the two are compared.
    """
    before = _convolutions(model)
    if next(_candidates(model), None) is None:
        return DeployForm(model, (), (), 0.0, (before, before))
    exact = copy.deepcopy(model).eval().double()
    want, like = _answers(exact, inputs)
    made, paths, left = exact, list[str](), list[str]()
    try:
        made = copy.deepcopy(exact)
        for path in _candidates(made):
            made = deploy.merge_module(made, path)
            paths.append(path)
        off = _difference(made, like, want)
    except Exception:  # a method of the model's author, which may raise anything
        off = float("inf")
    if not off <= TOLERANCE:
        made, paths, left = _one_by_one(exact, like, want)
        off = _difference(made, like, want) if paths else 0.0
    if not paths:
        return DeployForm(model, (), tuple(left), 0.0, (before, before))
    made = made.float()
    return DeployForm(made, tuple(paths), tuple(left), off, (before, _convolutions(made)))


def _one_by_one(
    model: nn.Module, inputs: Inputs, want: Outputs
) -> tuple[nn.Module, list[str], list[str]]:
    """Merge what keeps the answers, a module at a time."""
    paths: list[str] = []
    left: list[str] = []
    while True:
        path = next((path for path in _candidates(model) if path not in {*paths, *left}), None)
        if path is None:
            return model, paths, left
        try:
            tried = deploy.merge_module(copy.deepcopy(model), path)
            same = _difference(tried, inputs, want) <= TOLERANCE
        except Exception:  # as above
            same = False
        if same:
            model = tried
        (paths if same else left).append(path)


def _candidates(model: nn.Module) -> Iterator[str]:
    """Paths of modules with a deploy form, outer ones first; those within what was merged come if they
    are still there. The model's own method stands for all: it is not asked beside its parts'."""
    ahead = [name for name, _ in model.named_children()]
    while ahead:
        path = ahead.pop(0)
        if deploy.find_deploy_method(model.get_submodule(path)) is not None:
            yield path
        ahead = [f"{path}.{name}" for name, _ in model.get_submodule(path).named_children()] + ahead


def _answers(model: nn.Module, inputs: Inputs) -> tuple[Outputs, Inputs]:
    """Outputs in double precision, and the inputs that gave them; in float32 where the model insists."""
    try:
        wide = _cast(inputs, torch.float64)
        with torch.no_grad():
            return as_tuple(model(*wide)), wide
    except RuntimeError:
        narrow = _cast(inputs, torch.float32)
        with torch.no_grad():
            return as_tuple(model.float()(*narrow)), narrow


def _cast(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    """Real numbers as `dtype`, whole numbers as they are."""
    return tuple(each.to(dtype) if each.is_floating_point() else each for each in inputs)


def _difference(model: nn.Module, inputs: Inputs, want: Outputs) -> float:
    """The largest difference of any output, as part of the largest number of that output."""
    precision = next((each.dtype for each in want if each.is_floating_point()), torch.float32)
    with torch.no_grad():
        got = as_tuple(model.to(precision)(*inputs))
    pairs = zip(got, want, strict=True)
    parts = [float((a - b).abs().max() / b.abs().max().clamp_min(1e-30)) for a, b in pairs]
    return max(off if off == off else float("inf") for off in parts)


def _convolutions(model: nn.Module) -> int:
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return sum(isinstance(module, kinds) for module in model.modules())
