"""The weight and the ramp of a loss where a recipe says none: its authors', for the data's number of classes.

Softened by a temperature T far above the logits, T^2 KL has the gradient (z_s - z_t) / C in each of C logits (Hinton,
Vinyals and Dean 2015, arXiv:1503.02531, sec. 2.1, times T^2), so that fewer classes make it steeper, while the
cross-entropy's does not depend on C. A weight that was found for C0 classes is therefore multiplied by C / C0 where there are
fewer. Its norm beside the cross-entropy's falls with the root of C alone; scaled by the root `mlkd` stayed unstable on
ten classes, and `dkd` no better (`benchmarks/methods`). With more classes the weight stays: authors lower the temperature then, not raise the weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekd.learn.losses import LOSSES
from edgekd.learn.settings import AUTO
from edgekd.learn.settings import Ramp
from edgekd.learn.settings import Term

if TYPE_CHECKING:
    from edgekd.table import Member

DIGITS = 4
"""Of a scaled weight: more would say nothing."""
EXAMPLE = 10
"""The number of classes for which `describe_weight` gives the weight."""


def scale_weight(member: Member, classes: int) -> float:
    """Return a loss's usual weight for data of `classes` classes; the authors' own where they are not known, 0."""
    if not member.classes or not classes:
        return member.weight
    return float(f"{member.weight * min(1.0, classes / member.classes):.{DIGITS}g}")


def find_weight(term: Term, classes: int) -> float:
    """Return what a term is multiplied by: what the recipe says, else the usual for so many classes."""
    if term.weight != AUTO:
        return term.weight
    return scale_weight(term.loss.find_member(LOSSES), classes)


def find_ramp(term: Term, epochs: float) -> Ramp | None:
    """Return how a term's weight changes in a training of `epochs` epochs; 0 if that is not known: as it ends.

    The authors' ramp belongs to their weight: a recipe that says a weight has it from the first step on.
    """
    share = term.loss.find_member(LOSSES).ramp
    if term.ramp is not None or term.weight != AUTO or not share or not epochs:
        return term.ramp
    return Ramp(epochs=share * epochs)


def describe_weight(member: Member) -> str:
    """``1 for 100 classes and more, for fewer times classes / 100 (0.1 for 10), raised from 0 ...``; empty where a weight is
    one number from the first step on."""
    parts = []
    if member.classes:
        parts.append(
            f"{member.weight:g} for {member.classes} classes and more, for fewer times classes / {member.classes} "
            f"({scale_weight(member, EXAMPLE):g} for {EXAMPLE})"
        )
    if member.ramp:
        parts.append(
            f"{'' if parts else f'{member.weight:g}, '}raised from 0 over the first {member.ramp:.1%} of the epochs"
        )
    return ", ".join(parts)
