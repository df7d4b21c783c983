"""Puts a step of distillation together: the student, its losses with what they read, and who teaches it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from collections.abc import Mapping
from typing import NamedTuple

from torch import nn

from edgekd.errors import InputError
from edgekd.learn.assembly import reuse
from edgekd.learn.assembly.connection import Connection
from edgekd.learn.assembly.connection import connect
from edgekd.learn.assembly.connection import reads_inside
from edgekd.learn.assembly.participants import Participants
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.method import inheritance
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.settings import InheritSettings
from edgekd.learn.settings import Term
from edgekd.learn.settings import find_reuse_term
from edgekd.named_member import NamedMember


class DistillationStep(NamedTuple):
    """The networks, losses and scheme of one training."""

    student: nn.Module
    plan: Blueprint
    connection: Connection
    scheme: Scheme
    inherited: Mapping[str, str]
    """Where each tensor of the student comes from; empty where nothing is inherited."""

    @property
    def companion_parameters(self) -> int:
        """Count the parameters that learn along and are not shipped."""
        return sum(p.numel() for p in self.scheme.companions.parameters() if p.requires_grad)


def assemble_step(
    participants: Participants,
    losses: tuple[Term, ...],
    scheme: NamedMember | Scheme,
    batch_size: int,
    inherit: InheritSettings | None,
    *,
    epochs: float = 0.0,
) -> DistillationStep:
    """Assemble a step; weights come from torch's generator, or from the network that is inherited.

    Args:
        participants: the student as it is built, and its teachers.
        losses: the recipe's terms.
        scheme: who teaches whom: to be built for the participants, or built already.
        batch_size: of training.
        inherit: whose parameters the student begins with.
        epochs: of training, for weights that rise at its beginning; 0 leaves them as they will be.

    Raises:
        InputError: if a loss, the scheme or the heir cannot be had with these networks.
    """
    inherited, hold = _begun(participants, inherit)
    term = find_reuse_term(losses)
    if term is not None:
        try:
            participants.student, participants.plan = reuse.attach_teacher_classifier(
                participants.student, participants.plan, participants.teacher(), term.loss.arguments
            )
        except ValueError as error:
            raise InputError(f"loss {term.loss.name}: {error}") from error
    connected = connect(
        losses,
        participants.student,
        participants.layer_source() if reads_inside(losses, "teacher") else None,
        *participants.plan.blank(batch_size),
        samples=len(participants.samples),
        interface=participants.plan.interface,
        epochs=epochs,
        allow_code=participants.allow_code,
    )
    built = scheme if isinstance(scheme, Scheme) else participants.build_scheme(scheme)
    whole = hold(connected.add_to_scheme(built))
    return DistillationStep(participants.student, participants.plan, connected, whole, inherited)


def _begun(
    participants: Participants, inherit: InheritSettings | None
) -> tuple[Mapping[str, str], Callable[[Scheme], Scheme]]:
    """Begin the student with a teacher's parameters; gives which, and what holds a scheme to them."""
    if inherit is None:
        return {}, lambda scheme: scheme
    teacher, student = participants.parent(), participants.student
    try:
        found = inheritance.inherit_layers(student, teacher, inherit.rule)
    except ValueError as error:
        raise InputError(f"inherit: {error}") from error
    return found, functools.partial(
        inheritance.hold_to_inherited, inherit.hold, student, found, teacher
    )
