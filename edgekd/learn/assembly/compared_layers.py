"""Lists which layers the losses of a step compare: the plan for people and for the lineage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgekd.learn.assembly.binding import BindingContext
from edgekd.learn.layer_settings import LayerPair
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import BoundTerm
from edgekd.learn.settings import Term
from edgekd.learn.signals import find_signal
from edgekd.learn.signals import needs


class ComparedLayers(NamedTuple):
    """One pair of layers that a loss compares, and the size of the companion that it trains."""

    loss: str
    student: str
    student_shape: tuple[int, ...]
    teacher: str
    teacher_shape: tuple[int, ...]
    companion_parameters: int

    def describe(self) -> str:
        """Return one line for people."""
        extra = f", {self.companion_parameters:,} parameters" if self.companion_parameters else ""
        return (
            f"{self.loss}: student {self.student} {list(self.student_shape[1:])} and "
            f"teacher {self.teacher} {list(self.teacher_shape[1:])}{extra}"
        )


def list_layers(
    term: BoundTerm, words: Term, pairs: Sequence[LayerPair], context: BindingContext
) -> list[ComparedLayers]:
    """List the pairs of layers of one term; where it reads what enters the classifiers, those.

    Args:
        term: with its parts.
        words: what the recipe says of it.
        pairs: found for it.
        context: what it was bound with.
    """
    places = [(pair.student, pair.teacher) for pair in pairs]
    kinds = [find_signal(name).kind for name in needs(words.loss.find_member(LOSSES))]
    if not places and "embedding" in kinds:
        networks = context.networks
        places = [(networks["student"].classifier, networks["teacher"].classifier)]
    sizes = [
        0 if part.companion is None else sum(p.numel() for p in part.companion.parameters())
        for part in term.parts
    ]
    sizes += [0] * (len(places) - len(sizes))  # one part may stand for all pairs
    student, teacher = context.shapes["student"], context.shapes["teacher"]
    return [
        ComparedLayers(term.name, mine, student[mine], theirs, teacher.get(theirs, ()), size)
        for (mine, theirs), size in zip(places, sizes, strict=False)
    ]
