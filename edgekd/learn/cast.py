"""Who takes part in a step of distillation: everything that a scheme may ask for by name, made on demand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgekd.errors import InputError
from edgekd.learn import arithmetic
from edgekd.learn import blueprint
from edgekd.learn import pairing
from edgekd.learn import teacher as finished
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.data.loader import Samples
from edgekd.learn.scheme import Scheme
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.settings import Combine
from edgekd.learn.settings import Resolved
from edgekd.learn.teacher import Tell
from edgekd.table import Named
from edgekd.table import signature


class Cast:
    """The student, its teachers and what belongs to them.

    Args:
        student: the bare model that is trained.
        plan: what builds it.
        samples: the training split.
        resolved: the arithmetic of the run.
        given: the stage's input files: ``knowledge`` or ``teacher_blueprint`` and ``teacher_weights``; of
            further teachers the same with ``_2``, ``_3``.
        allow_code: whether ``python:`` references may run.
        combine: how several teachers become one.
    """

    def __init__(
        self,
        student: nn.Module,
        plan: Blueprint,
        samples: Samples,
        resolved: Resolved,
        given: Mapping[str, Path],
        allow_code: bool,
        combine: Combine,
    ) -> None:
        self.student, self.plan, self.samples = student, plan, samples
        self.resolved, self.given, self.allow_code = resolved, given, allow_code
        self.combine = combine
        self._teachers: dict[str, nn.Module] = {}

    def scheme(self, words: Named) -> Scheme:
        """What a recipe's scheme is with these players.

        Raises:
            InputError: if it asks for one that is not there, or cannot be built for them.
        """
        member = SCHEMES[words.name]
        offered: dict[str, Callable[[], Any]] = {
            "student": lambda: self.student,
            "teach": self.teach,
            "teaches": self.teaches,
            "anchors": self.anchors,
            "teacher": self.teacher,
            "classes": lambda: self.plan.classes,
            "samples": lambda: self.samples,
            "peer": lambda: self.peer,
            "smaller": lambda: self.smaller,
            "pairs": self.pairs,
            "stages": self.stages,
            "device": arithmetic.device,
        }
        try:
            asked = [offered[name]() for name in signature(member).positional]
            scheme: Scheme = member.load()(*asked, **words.arguments)
        except ValueError as error:
            raise InputError(f"scheme {words.name}: {error}") from error
        return scheme

    def teach(self) -> Tell:
        """What the teachers say together."""
        return finished.together(self.teaches(), self.combine.rule, self.combine.temperature)

    def teaches(self) -> list[Tell]:
        """What each teacher says, stored or live."""
        marks = ["", *(f"_{number}" for number in range(2, len(self.given) + 2))]
        return [self._tell(mark) for mark in marks if self._known(mark)]

    def anchors(self) -> list[Tell]:
        """What the teacher said on its way, state by state, and what it says now."""
        found: list[Tell] = []
        while (name := f"teacher_waypoint_{len(found) + 1}") in self.given:
            model = blueprint.load(
                self.given["teacher_blueprint"], self.given[name], allow_code=self.allow_code
            )
            found.append(self._live(model.to(arithmetic.device())))
        return [*found, self._tell("")]

    def teacher(self, mark: str = "") -> nn.Module:
        """A live teacher on the training device, in evaluation mode, frozen."""
        if mark not in self._teachers:
            model = blueprint.load(
                self.given[f"teacher_blueprint{mark}"],
                self.given[f"teacher_weights{mark}"],
                allow_code=self.allow_code,
            )
            model.requires_grad_(False).to(arithmetic.device())
            self._teachers[mark] = model
        return self._teachers[mark]

    def peer(self, number: int) -> nn.Module:
        """Another network of the student's kind, its first weights from torch's generator."""
        return blueprint.build(self.plan, allow_code=self.allow_code)

    def smaller(self, knob: str, value: int) -> nn.Module:
        """A network like the student but for one knob of its builder.

        Raises:
            InputError: if the builder has no such knob, or takes no such value.
        """
        arguments = {**self.plan.arguments, knob: value}
        plan = self.plan.model_copy(update={"arguments": arguments})
        return blueprint.build(plan, allow_code=self.allow_code)

    def pairs(self) -> list[tuple[str, str]]:
        """Module paths of the stages of student and teacher that belong together."""
        theirs = pairing.network(self.teacher(), self.plan.blank(2))
        found = pairing.paired("auto", self.network, theirs)
        return [(pair.student, pair.teacher) for pair in found]

    @functools.cached_property
    def network(self) -> pairing.Network:
        """The student's stages and classifier."""
        return pairing.network(self.student, self.plan.blank(2))

    def stages(self) -> tuple[str, ...]:
        """Module paths of the student's stages, shallow to deep."""
        return self.network.stages

    def _known(self, mark: str) -> bool:
        return f"knowledge{mark}" in self.given or f"teacher_weights{mark}" in self.given

    def _tell(self, mark: str) -> Tell:
        if f"knowledge{mark}" in self.given:
            path = self.given[f"knowledge{mark}"]
            return finished.stored(np.load(path, mmap_mode="r", allow_pickle=False))
        return self._live(self.teacher(mark))

    def _live(self, model: nn.Module) -> Tell:
        precision: torch.dtype | None = arithmetic.AUTOCAST[self.resolved.precision]
        return finished.live(model, precision)
