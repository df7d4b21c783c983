"""Branches that share the student's trunk; a gate makes one teacher of them all."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from typing import Any

import torch
from torch import nn

from edgekd.learn.mathematics.fitting import count_channels
from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.method.readout import average_places
from edgekd.learn.method.readout import first_two_samples
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals
from edgekd.learn.method.taps import Taps
from edgekd.learn.method.taps import find_points
from edgekd.learn.method.taps import record_shapes

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from edgekd.learn.data.loader import Samples
    from edgekd.learn.model_inputs import Inputs
    from edgekd.settings import Count


def native_ensemble(
    student: nn.Module,
    build_peer: Callable[[int], nn.Module],
    samples: Samples,
    stages: tuple[str, ...],
    device: torch.device,
    *,
    branches: Count = 2,
) -> Scheme:
    """On-the-fly native ensemble: the student and branches of it, all taught by their gated mean.

    Lan et al. 2018 (arXiv:1806.04606, sec. 3): all share what lies below the last stage, and a gate,
    fed with what the last stage is fed with, weighs their logits, sample by sample. The ensemble learns
    from the labels, too: it has a lesson of its own, in which it is its own teacher, so that kd is 0
    there and cross-entropy trains the gate. Recipes: cross-entropy 1, kd 1 at temperature 3.

    A branch is a peer whose modules up to the end of the last stage but one give what the student's just
    gave: the trunk runs once, and it alone is trained.

    Args:
        student: the network whose last stage is branched.
        build_peer: builds the network that branch number n is taken from, from 1 on.
        samples: the training split; for the shapes of its inputs.
        stages: where the student's stages end, shallow to deep.
        device: where the student is.
        branches: how many there are beside the student.

    Returns:
        The student's lesson, one for each branch, and the ensemble's.

    Raises:
        ValueError: if the student has fewer than two stages.
    """
    if len(stages) < 2:
        raise ValueError(f"got {len(stages)} stages, want two at least: branches share all but one")
    inputs, trunk_end = first_two_samples(samples, device), stages[-2]
    trunk = _trunk(student, trunk_end, inputs)
    taps = Taps(student, [trunk_end])
    outputs: dict[str, Any] = {}
    beside = nn.ModuleList(
        _branched(build_peer(number), trunk, outputs) for number in range(1, branches + 1)
    )
    width = count_channels(record_shapes(student, [trunk_end], *inputs)[trunk_end])
    gate = _Gate(width, branches + 1)
    companions = nn.ModuleDict({"branches": beside, "gate": gate})

    def lessons(learner: nn.Module, batch: TensorBatch) -> list[Lesson]:
        companions.train(learner.training)
        handles = [module.register_forward_hook(_kept(p, outputs)) for p, module in trunk.items()]
        try:
            with taps as features:
                answers = [learner(*batch.inputs)]
            answers += [branch(*batch.inputs) for branch in beside]
        finally:
            for handle in handles:
                handle.remove()
            outputs.clear()
        together = combine_by_gate(answers, gate(average_places(features[trunk_end])))
        told, known = together.detach(), label_signals(batch)
        return [
            Lesson({"student_logits": answer, "teacher_logits": told, **known})
            for answer in (*answers, together)
        ]

    return Scheme(lessons, companions)


def combine_by_gate(answers: list[Tensor], weights: Tensor) -> Tensor:
    """Sum logits, each weighted by its gate (Lan et al. 2018, sec. 3).

    Args:
        answers: K logits [B, C].
        weights: [B, K].

    Returns:
        [B, C].
    """
    stacked = torch.stack([widen(answer) for answer in answers], 1)
    return (widen(weights).unsqueeze(2) * stacked).sum(1)


class _Gate(nn.Module):
    """A linear layer, batch norm, ReLU and softmax, as the authors have it."""

    def __init__(self, width: int, learners: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, learners, bias=False)  # the norm has one
        self.norm = nn.BatchNorm1d(learners)

    def forward(self, vectors: Tensor) -> Tensor:
        return torch.softmax(torch.relu(self.norm(self.linear(vectors))), 1)


class _Recalled(nn.Module):
    """Stands in a branch for a module of the trunk: gives what the student's has just given."""

    def __init__(self, path: str, original: nn.Module, outputs: dict[str, Any]) -> None:
        super().__init__()
        self.path, self.outputs = path, outputs
        object.__setattr__(self, "original", original)  # the student's: not a part of the branch

    def forward(self, *given: Any, **named: Any) -> Any:
        return self.outputs[self.path]

    def __getattr__(self, name: str) -> Any:
        """Networks ask their modules for sizes and types: the original answers."""
        return getattr(self.__dict__["original"], name)


def _trunk(student: nn.Module, end: str, inputs: Inputs) -> dict[str, nn.Module]:
    """The outermost modules that have finished when `end` has; each runs once."""
    found = find_points(student, *inputs)
    times = Counter(point.place for point in found)
    last = next((number for number, point in enumerate(found) if point.place == end), -1)
    early = {p.place: p.module for p in found[: last + 1] if times[p.place] == 1}
    if end not in early:
        raise ValueError(f"got stage {end!r}, want a module that runs once")
    return {
        place: module
        for place, module in early.items()
        if not any(place.startswith(f"{other}.") for other in early)
    }


def _branched(
    network: nn.Module, trunk: dict[str, nn.Module], outputs: dict[str, Any]
) -> nn.Module:
    for path, module in trunk.items():
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, _Recalled(path, module, outputs))
    return network


def _kept(path: str, outputs: dict[str, Any]) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, given: Any, made: Any) -> None:
        # The student may run in half precision, what is built beside it does not.
        outputs[path] = widen(made) if isinstance(made, torch.Tensor) else made

    return hook
