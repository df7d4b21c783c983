"""Who takes part in a step of distillation: everything that a scheme may ask for by name, made on demand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from edgekd import code
from edgekd.errors import InputError
from edgekd.learn import arithmetic
from edgekd.learn import blueprint
from edgekd.learn.assembly.live_teacher import load_teacher
from edgekd.learn.assembly.own_texts import OwnTexts
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.data.loader import Samples
from edgekd.learn.method import pairing
from edgekd.learn.method import teacher as finished
from edgekd.learn.method.missing_labels import require_usable
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.stored_layers import StoredTaps
from edgekd.learn.method.teacher import TeacherFunction
from edgekd.learn.schemes import OFFLINE
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.schemes.labels_only import learn_from_labels
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import CombineSettings
from edgekd.learn.signals import find_answer
from edgekd.named_member import NamedMember
from edgekd.table import find_signature

PARENT = "parent"
"""The mark of the network whose parameters are inherited."""


class Participants:
    """The student, its teachers and what belongs to them.

    Args:
        student: the bare model that is trained.
        plan: what builds it.
        samples: the training split.
        resolved: the arithmetic of the run.
        given: the stage's input files: ``knowledge`` (or its shards as ``knowledge/FILE``) or
            ``teacher_blueprint`` and ``teacher_weights``; of further teachers the same with ``_2``, ``_3``.
        allow_code: whether ``python:`` references may run.
        combine: how several teachers become one.
        built: networks that are at hand and need no file, by their mark: ``""`` the first teacher,
            ``"_2"`` the second, `PARENT` whose parameters are inherited.
        sharded: marks of teachers whose parameters the ranks share out where they answer live.
        note: is told what each rank then holds.
        own_texts: of teachers that read texts by their own tokenizers, by their marks, those texts.
    """

    def __init__(
        self,
        student: nn.Module,
        plan: Blueprint,
        samples: Samples,
        resolved: Arithmetic,
        given: Mapping[str, Path],
        allow_code: bool,
        combine: CombineSettings,
        built: Mapping[str, nn.Module] = MappingProxyType({}),
        sharded: Collection[str] = (),
        note: Callable[[str], None] = lambda text: None,
        own_texts: Mapping[str, OwnTexts] = MappingProxyType({}),
    ) -> None:
        self.student, self.plan, self.samples = student, plan, samples
        self.resolved, self.given, self.allow_code = resolved, given, allow_code
        self.combine, self.sharded, self.note = combine, sharded, note
        self.own_texts = own_texts
        self._networks = {mark: _still(model) for mark, model in built.items()}
        self._stores: dict[str, TeacherFunction] = {}

    def build_scheme(self, words: NamedMember) -> Scheme:
        """Build a recipe's scheme for these participants; where no teacher is there to be heard labels alone teach.

        Raises:
            InputError: if it asks for one that is not there, or cannot be built for them.
        """
        if words.name == OFFLINE.name and not self._known(""):
            return learn_from_labels()
        member = SCHEMES[words.name]
        # a loader of one's own is no `Samples`: its labels nobody has seen
        if isinstance(self.samples, Samples):
            require_usable(self.samples, member)
        offered: dict[str, Callable[[], Any]] = {
            "student": lambda: self.student,
            "teacher_function": self.teacher_function,
            "teacher_functions": self.teacher_functions,
            "waypoint_functions": self.waypoint_functions,
            "teacher": self.teacher,
            "classes": lambda: self.plan.classes,
            "samples": lambda: self.samples,
            "build_peer": lambda: self.build_peer,
            "build_smaller": lambda: self.build_smaller,
            "pairs": self.stage_pairs,
            "stages": self.stages,
            "device": arithmetic.choose_device,
        }
        try:
            asked = [offered[name]() for name in find_signature(member).positional]
            build = code.load_member(member, f"scheme {words.name}", allow_code=self.allow_code)
            scheme: Scheme = build(*asked, **words.arguments)
        except ValueError as error:
            raise InputError(f"scheme {words.name}: {error}") from error
        return scheme

    def teacher_function(self) -> TeacherFunction:
        """Return one function that gives the combined logits of the teachers."""
        return finished.combine_teachers(
            self.teacher_functions(), self.combine.rule, self.combine.temperature
        )

    def teacher_functions(self) -> list[TeacherFunction]:
        """Return a function for each teacher that gives its logits, stored or live."""
        most = len(self.given) + len(self._networks) + 1
        marks = ["", *(f"_{number}" for number in range(2, most + 1))]
        return [self._tell(mark) for mark in marks if self._known(mark)]

    def waypoint_functions(self) -> list[TeacherFunction]:
        """Return a function for each checkpoint of the teacher, first to last, then that of the finished one."""
        found: list[TeacherFunction] = []
        while (name := f"teacher_waypoint_{len(found) + 1}") in self.given:
            found.append(self._live(_still(self._loaded("teacher_blueprint", name))))
        return [*found, self._tell("")]

    def teacher(self, mark: str = "") -> nn.Module:
        """A live teacher on the training device, in evaluation mode, frozen."""
        if mark not in self._networks:
            self._networks[mark] = load_teacher(
                self.given[f"teacher_blueprint{mark}"],
                self.given[f"teacher_weights{mark}"],
                allow_code=self.allow_code,
                sharded=mark in self.sharded,
                note=self.note,
            )
        return self._networks[mark]

    def layer_source(self) -> nn.Module | StoredTaps:
        """The first teacher's layers, stored where its answers are; else the live teacher.

        Raises:
            InputError: if its answers are stored without layers.
        """
        if "" in self._networks or not finished.has_knowledge(self.given, "knowledge"):
            return self.teacher()
        stored = self._stored("")
        if not isinstance(stored, finished.StoredTeacher) or stored.taps is None:
            raise InputError("knowledge: got answers without layers, want those that losses read")
        return stored.taps

    def parent(self) -> nn.Module:
        """Return whose parameters the student begins with, on the CPU as the student is."""
        found = self._networks.get(PARENT)
        return self._loaded("inherit_blueprint", "inherit_weights") if found is None else found

    def build_peer(self, number: int) -> nn.Module:
        """Build another network of the student's kind, its first weights from torch's generator."""
        return blueprint.build(self.plan, allow_code=self.allow_code)

    def build_smaller(self, knob: str, value: int) -> nn.Module:
        """Build a network like the student but for one knob of its builder.

        Raises:
            InputError: if the builder has no such knob, or takes no such value.
        """
        arguments = {**self.plan.arguments, knob: value}
        plan = self.plan.model_copy(update={"arguments": arguments})
        return blueprint.build(plan, allow_code=self.allow_code)

    def stage_pairs(self) -> list[tuple[str, str]]:
        """Pair the stages of student and teacher; gives their module paths."""
        theirs = self._stages_of(self.teacher())
        found = pairing.pair_layers("auto", self.network, theirs)
        return [(pair.student, pair.teacher) for pair in found]

    @functools.cached_property
    def network(self) -> pairing.NetworkStages:
        """The student's stages and classifier."""
        return self._stages_of(self.student)

    def stages(self) -> tuple[str, ...]:
        """Module paths of the student's stages, shallow to deep."""
        return self.network.stages

    def _stages_of(self, model: nn.Module) -> pairing.NetworkStages:
        at = find_answer(self.plan.interface.outputs)
        return pairing.find_stages(model, *self.plan.blank(2), output=at)

    def _known(self, mark: str) -> bool:
        is_stored = finished.has_knowledge(self.given, f"knowledge{mark}")
        return mark in self._networks or is_stored or f"teacher_weights{mark}" in self.given

    def _loaded(self, plan: str, weights: str) -> nn.Module:
        return blueprint.load(self.given[plan], self.given[weights], allow_code=self.allow_code)

    def _tell(self, mark: str) -> TeacherFunction:
        if finished.has_knowledge(self.given, f"knowledge{mark}"):
            return self._stored(mark)
        live = self._live(self.teacher(mark))
        return self.own_texts[mark].wrap(live) if mark in self.own_texts else live

    def _stored(self, mark: str) -> TeacherFunction:
        if mark not in self._stores:  # one for all: its layers come with its answers
            self._stores[mark] = finished.open_knowledge(self.given, f"knowledge{mark}")
        return self._stores[mark]

    def _live(self, model: nn.Module) -> TeacherFunction:
        precision: torch.dtype | None = arithmetic.AUTOCAST[self.resolved.precision]
        return finished.run_teacher(model, precision)


def _still(model: nn.Module) -> nn.Module:
    """On the training device, in evaluation mode, frozen."""
    return model.eval().requires_grad_(False).to(arithmetic.choose_device())
