"""What losses may compare: the names of their positional parameters. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
from typing import Literal
from typing import NamedTuple

from edgekd.interface import Tensor
from edgekd.table import Member
from edgekd.table import find_signature

Side = Literal["student", "teacher"]
SIDES: tuple[Side, ...] = ("student", "teacher")
Source = Literal["labels", "teacher", "layers"]
Kind = Literal["logits", "values", "features", "stages", "embedding", "labels", "mask", "other"]


class Signal(NamedTuple):
    """One thing that a scheme can give to a loss."""

    source: Source
    """Where it is to be had: with labels alone, from a teacher's answers, or from inside a network."""
    side: Side | None
    """Whose it is; None of labels."""
    kind: Kind
    shape: str


SIGNALS: dict[str, Signal] = {
    "student_logits": Signal(
        "labels", "student", "logits", "[B, C]; of dense logits the places that count, [P, C]"
    ),
    "student_values": Signal(
        "labels", "student", "values", "[B, ...], numbers that the model gives"
    ),
    "targets": Signal("labels", None, "labels", "[B, ...], what those are compared with"),
    "labels": Signal(
        "labels",
        None,
        "labels",
        "class indices [B], or probabilities [B, C] where views mix samples",
    ),
    "label_indices": Signal(
        "labels", None, "labels", "class indices [B]; absent where views mix samples"
    ),
    "sample_indices": Signal("labels", None, "other", "[B], numbers in the training split"),
    "token_mask": Signal(
        "labels", None, "mask", "[B, N], 1 where there is a token; None where nothing is padding"
    ),
    "teacher_logits": Signal("teacher", "teacher", "logits", "[B, C], or [P, C] as the student's"),
    "teacher_values": Signal("teacher", "teacher", "values", "[B, ...]"),
    "student_features": Signal(
        "layers", "student", "features", "of one pair of layers: [B, C, H, W] or [B, N, D]"
    ),
    "teacher_features": Signal(
        "layers", "teacher", "features", "of one pair of layers: [B, C, H, W] or [B, N, D]"
    ),
    "student_stages": Signal(
        "layers", "student", "stages", "of all pairs of layers, shallow to deep"
    ),
    "teacher_stages": Signal(
        "layers", "teacher", "stages", "of all pairs of layers, shallow to deep"
    ),
    "student_embedding": Signal(
        "layers", "student", "embedding", "[B, D], what enters the classifier"
    ),
    "teacher_embedding": Signal(
        "layers", "teacher", "embedding", "[B, D], what enters the classifier"
    ),
}
TOKEN_MASK = "token_mask"
"""The one signal that may be None."""
TARGET = Signal("labels", None, "labels", "[B, ...], a target by its name")
OUTPUTS: dict[Side, Signal] = {
    "student": Signal("labels", "student", "other", "[B, ...], an output by its name"),
    "teacher": Signal("teacher", "teacher", "other", "[B, ...], an output by its name"),
}


LABELS_OF = ("labels", "label_indices")
OF_KIND: dict[str, tuple[str, ...]] = {
    "logits": ("student_logits", "teacher_logits", *LABELS_OF),
    "values": ("student_values", "teacher_values", "targets"),
}
"""The signals of the output that a loss compares, by the kind of output it has to be."""


def is_classifier(outputs: Sequence[Tensor]) -> bool:
    """Return whether a model gives ``logits`` [B, C] alone, compared with ``labels``: one class a sample."""
    if len(outputs) != 1:
        return False
    (end,) = outputs
    form = (end.name, end.kind, end.target, end.class_axis, len(end.shape))
    return form == ("logits", "logits", "labels", 1, 2)


def has_places(end: Tensor) -> bool:
    """Return whether an output has logits of more than one row a sample."""
    return end.kind == "logits" and end.class_axis >= 1 and len(end.shape) > 2


def is_place_classifier(outputs: Sequence[Tensor]) -> bool:
    """Return whether a model gives logits [B, L, C] alone: one class of every place of a sequence."""
    if len(outputs) != 1 or not has_places(outputs[0]):
        return False
    return outputs[0].class_axis == 2 and len(outputs[0].shape) == 3


def find_answer(outputs: Sequence[Tensor]) -> int | None:
    """Of several outputs which one is read for what gives the logits: the first logits, or else the first; None of one."""
    if len(outputs) == 1:
        return None
    kinds = [end.kind for end in outputs]
    return kinds.index("logits") if "logits" in kinds else 0


def compares_kind(kind: str, asked: Collection[str], targets: Collection[str]) -> bool:
    """Return whether a loss compares an output of a kind: of student or teacher, or its labels where no target has
    that name.

    Args:
        kind: of `OF_KIND`.
        asked: names of the loss's signals.
        targets: names of all targets.
    """
    return any(name in asked and name not in targets for name in OF_KIND[kind])


def find_mask(inputs: Sequence[Tensor]) -> int | None:
    """Find which of a model's inputs says where there is a token; None of none, or several.

    One whose name says padding (torch's ``key_padding_mask``) says the opposite, and is none.
    """
    found = [
        at
        for at, end in enumerate(inputs)
        if end.kind == "mask" and len(end.shape) == 2 and "padding" not in end.name
    ]
    return found[0] if len(found) == 1 else None


def choose_output(kind: str, outputs: Sequence[Tensor], name: str = "") -> Tensor:
    """Choose the output of a kind that a loss compares: the one of that name, or the only one.

    Raises:
        ValueError: if there is none, or several and no name.
    """
    fitting = [end for end in outputs if end.kind == kind]
    listed = ", ".join(end.name for end in fitting)
    if not fitting:
        given = ", ".join(f"{end.name} ({end.kind})" for end in outputs)
        raise ValueError(f"it compares {kind}, and the model gives {given}")
    if name:
        chosen = [end for end in fitting if end.name == name]
        if not chosen:
            raise ValueError(f"output: got {name!r}, want one of its {kind}: {listed}")
        return chosen[0]
    if len(fitting) > 1:
        raise ValueError(f"output: got none, want one of its {kind}: {listed}")
    return fitting[0]


PAIRED = ("features", "stages")
"""Kinds of signals that come from pairs of layers."""


def needs(member: Member) -> tuple[str, ...]:
    """The signals that a loss, or what is trained beside it, asks of a scheme."""
    named = find_signature(member).positional
    if member.companion is not None:  # which gives some of them
        named += find_signature(member.companion).positional
        named = tuple(name for name in named if name in SIGNALS)
    return tuple(dict.fromkeys(named))


def find_signal(name: str) -> Signal:
    """Return what a loss's parameter of that name is: one of `SIGNALS`, ``student_<output>`` or ``teacher_<output>``,
    or else a target."""
    if name in SIGNALS:
        return SIGNALS[name]
    return next((OUTPUTS[side] for side in SIDES if name.startswith(f"{side}_")), TARGET)


def reads_layers(member: Member, side: Side | None = None) -> bool:
    """Return whether a loss looks inside the student, inside the teacher, or (None) inside either."""
    return any(
        signal.source == "layers" and side in (None, signal.side)
        for signal in map(find_signal, needs(member))
    )


def pairs_layers(member: Member) -> bool:
    """Return whether a loss compares pairs of layers, so that ``layers`` can name them; what enters the
    classifier is found without it."""
    return any(find_signal(name).kind in PAIRED for name in needs(member))


def require_usable(name: str, member: Member, taken: Collection[str]) -> None:
    """Refuse a loss that no scheme can serve: one of a user's or of a plugin.

    Args:
        name: what the recipe calls it.
        member: the loss.
        taken: words of a recipe that stand beside its knobs.

    Raises:
        ValueError: if it takes nothing of the student, or a knob that has a word's name.
    """
    if member.built_in:
        return
    positional, knobs, _ = find_signature(member)
    if not any(find_signal(each).side == "student" for each in positional):
        raise ValueError(
            f"got {name!r}, which takes nothing of the student, want student_logits or the like"
        )
    for knob in knobs.model_fields:
        if knob in taken and member.given is None:  # a caller's own stays at its default
            raise ValueError(
                f"got {name!r}, which has a knob {knob!r}, want another name: every loss has a {knob}"
            )


def require_words(
    name: str,
    member: Member,
    *,
    layers: bool,
    standardize: bool,
    labelled_only: bool,
    all_tokens: bool,
) -> None:
    """Refuse what a recipe says beside a loss that has no use for it.

    Args:
        name: what the recipe calls it.
        member: the loss.
        layers: whether it names layers.
        standardize: whether logits are to be standardized.
        labelled_only: whether it is to count labelled tokens alone.
        all_tokens: whether it is to count all of them.

    Raises:
        ValueError: naming the word.
    """
    if layers and not pairs_layers(member):
        alone = "compares what enters the classifier alone"
        why = alone if reads_layers(member) else "reads no layers"
        raise ValueError(f"layers: got them for {name!r}, which {why}")
    if standardize and "teacher_logits" not in needs(member):
        raise ValueError(f"standardize: got it for {name!r}, which takes no teacher's logits")
    if labelled_only and member.built_in and not member.over_tokens:
        raise ValueError(f"labelled_only: got it for {name!r}, which is no loss over tokens")
    if all_tokens and labelled_only:
        raise ValueError(f"all_tokens: got it beside labelled_only for {name!r}, want one of them")
    if all_tokens and (
        "teacher_logits" not in needs(member) or set(LABELS_OF) & set(needs(member))
    ):
        why = (
            "compares with labels"
            if set(LABELS_OF) & set(needs(member))
            else "takes no teacher's logits"
        )
        raise ValueError(f"all_tokens: got it for {name!r}, which {why}")
