"""Words for a transformer's layers, so that a recipe need not name modules: ``hidden``, ``scores:last``, ``queries:2``."""

from __future__ import annotations

import re
from typing import Literal

from edgekd.learn.layer_settings import LayerPair
from edgekd.learn.transformer_parts import TransformerParts

LAST = "last"
EMBEDDINGS, RELATIONS = "embeddings", "relations"
_PARTS = {
    "hidden": "blocks",
    "queries": "queries",
    "keys": "keys",
    "values": "values",
    "scores": "scores",
}
"""The word for a part to the field of `TransformerParts`."""
_PLACE = re.compile(rf"({'|'.join(_PARTS)}):([0-9]{{1,4}}|{LAST})")


def pair_parts(
    word: str, student: TransformerParts | None, teacher: TransformerParts | None
) -> tuple[LayerPair, ...]:
    """Pair parts of two transformers.

    Every layer i of the student, from 1 on, is paired with layer i L_t / L_s of the teacher, rounded (Jiao et al. 2020,
    arXiv:1909.10351, sec. 3.2); ``relations`` are queries, keys and values of the last layers (Wang et al. 2021,
    arXiv:2012.15828, sec. 3.1).

    Args:
        word: of a recipe's ``layers``: ``hidden``, ``scores``, each with ``:last`` for the last layers alone, ``queries:last``,
            ``keys:last``, ``values:last``, ``relations``, ``embeddings``.
        student: its parts; None if it is no transformer.
        teacher: its parts.

    Raises:
        ValueError: if a network has no such part.
    """
    if word == RELATIONS:
        words = [f"{part}:{LAST}" for part in ("queries", "keys", "values")]
    elif word in _PARTS:
        ours, theirs = _list(word, student, "student"), _list(word, teacher, "teacher")
        return tuple(
            LayerPair(student=place, teacher=theirs[_map_layer(at, len(ours), len(theirs))])
            for at, place in enumerate(ours)
        )
    else:
        words = [word]
    return tuple(
        LayerPair(
            student=find_place(each, student, "student"),
            teacher=find_place(each, teacher, "teacher"),
        )
        for each in words
    )


def has_part(word: str, parts: TransformerParts | None) -> bool:
    """Return whether a network has what a word for layers names."""
    if parts is None:
        return False
    if word == EMBEDDINGS:
        return bool(parts.embeddings)
    field = "queries" if word == RELATIONS else _PARTS[word.partition(":")[0]]
    return bool(getattr(parts, field))


def find_place(
    place: str, parts: TransformerParts | None, side: Literal["student", "teacher"]
) -> str:
    """Find the module that a word such as ``hidden:2`` or ``scores:last`` names, from 1 on; a path stays as it is.

    Raises:
        ValueError: if the network has no such part, or fewer layers.
    """
    if place == EMBEDDINGS:
        if parts is None or not parts.embeddings:
            raise ValueError(f"got layers {place!r}, and the {side} has no table of tokens")
        return parts.embeddings
    named = _PLACE.fullmatch(place)
    if named is None:
        return place
    places = _list(named[1], parts, side)
    number = len(places) if named[2] == LAST else int(named[2])
    if not 1 <= number <= len(places):
        raise ValueError(f"got layer {place!r}, want {named[1]}:1 to {len(places)} of the {side}")
    return places[number - 1]


def _map_layer(at: int, count: int, others: int) -> int:
    """Of layer `at` of `count`, from 0 on, that of `others` at the same depth."""
    return max(0, int((at + 1) * others / count + 0.5) - 1)


def _list(word: str, parts: TransformerParts | None, side: str) -> tuple[str, ...]:
    if parts is None:
        raise ValueError(
            f"got layers {word!r}, and the {side} is no transformer whose layers can be told by name, want modules' paths"
        )
    places: tuple[str, ...] = getattr(parts, _PARTS[word])
    if not places:
        why = (
            "its positions change them on their way"
            if word == "scores" and parts.queries
            else ("it has queries, keys and values in one layer")
        )
        raise ValueError(f"got layers {word!r}, which the {side} does not show: {why}, want hidden")
    return places
