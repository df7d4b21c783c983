"""The weight and the ramp of a loss where a recipe says none: its authors', for the data's number of classes.

Softened by a temperature T far above the logits, T^2 KL has the gradient (z_s - z_t) / C in each of C logits (Hinton,
Vinyals and Dean 2015, arXiv:1503.02531, sec. 2.1, times T^2), so that its norm is that of the mean difference by the root
of C, while the cross-entropy's does not depend on C. A weight that was found for C0 classes keeps the same share of the
step at C ones where it is multiplied by the root of C / C0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgekd.learn.losses import LOSSES
from edgekd.learn.settings import AUTO
from edgekd.learn.settings import Ramp
from edgekd.learn.settings import Term

if TYPE_CHECKING:
    from edgekd.table import Member

DIGITS = 4
"""Of a scaled weight: more would say nothing."""
EXAMPLES = (10, 1000)
"""Numbers of classes for which `describe_weight` gives the weight."""


def scale_weight(member: Member, classes: int) -> float:
    """Return a loss's usual weight for data of `classes` classes; the authors' own where they are not known, 0."""
    if not member.classes or not classes:
        return member.weight
    return float(f"{member.weight * math.sqrt(classes / member.classes):.{DIGITS}g}")


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
    """``1 for 100 classes, else times the root of classes / 100 (0.3162 for 10, 3.162 for 1000), from 0 ...``; empty where
    a weight is one number from the first step on."""
    parts = []
    if member.classes:
        known = ", ".join(f"{scale_weight(member, each):g} for {each}" for each in EXAMPLES)
        parts.append(
            f"{member.weight:g} for {member.classes} classes, else times the root of classes / "
            f"{member.classes} ({known})"
        )
    if member.ramp:
        parts.append(
            f"{'' if parts else f'{member.weight:g}, '}raised from 0 over the first {member.ramp:.1%} of the epochs"
        )
    return ", ".join(parts)
