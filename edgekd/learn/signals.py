"""What losses may compare: the names of their positional parameters. Imports no torch."""

from __future__ import annotations

from typing import Literal
from typing import NamedTuple

from edgekd.table import Member
from edgekd.table import signature

Source = Literal["labels", "teacher", "student layers", "teacher layers"]


class Signal(NamedTuple):
    """One thing that a scheme can give to a loss."""

    source: Source
    shape: str


SIGNALS: dict[str, Signal] = {
    "student_logits": Signal("labels", "[B, C]"),
    "labels": Signal(
        "labels", "class indices [B], or probabilities [B, C] where views mix samples"
    ),
    "label_indices": Signal("labels", "class indices [B]; absent where views mix samples"),
    "sample_indices": Signal("labels", "[B], numbers in the training split"),
    "teacher_logits": Signal("teacher", "[B, C]"),
    "student_features": Signal(
        "student layers", "of one pair of layers: [B, C, H, W] or [B, N, D]"
    ),
    "teacher_features": Signal(
        "teacher layers", "of one pair of layers: [B, C, H, W] or [B, N, D]"
    ),
    "student_stages": Signal("student layers", "of all pairs of layers, shallow to deep"),
    "teacher_stages": Signal("teacher layers", "of all pairs of layers, shallow to deep"),
    "student_embedding": Signal("student layers", "[B, D], what enters the classifier"),
    "teacher_embedding": Signal("teacher layers", "[B, D], what enters the classifier"),
}


def needs(member: Member) -> tuple[str, ...]:
    """The signals that a loss, or what is trained beside it, asks of a scheme."""
    named = signature(member).positional
    if member.companion is not None:
        named += signature(member.companion).positional
    return tuple(dict.fromkeys(name for name in named if name in SIGNALS))


def reads_layers(member: Member, side: Literal["student", "teacher"] | None = None) -> bool:
    """Whether a loss looks inside the student, inside the teacher, or (None) inside either."""
    sources = {f"{name} layers" for name in ("student", "teacher") if side in (None, name)}
    return any(SIGNALS[name].source in sources for name in needs(member))


def pairs_layers(member: Member) -> bool:
    """Whether a loss compares pairs of layers, so that ``layers`` can name them; what enters the
    classifier is found without it."""
    return any(name.endswith(("_features", "_stages")) for name in needs(member))
