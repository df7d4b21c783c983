"""A class of every token of a text: entities, parts of speech."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import cast

import numpy as np

from edgekd.fields.tokens import Tokens
from edgekd.interface import BATCH
from edgekd.interface import Tensor
from edgekd.task import Metric
from edgekd.task import Task
from edgekd.task import ratio

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgekd.dataset import Dataset
    from edgekd.field import Arrays
    from edgekd.field import RaggedRows
    from edgekd.field import Rows

TEXT = "text"
"""The input that tags stand beside."""
OUTSIDE = "O"
"""The tag of a token in no entity."""
Span = tuple[str, int, int]
"""Type of an entity, and the places of its first and last token."""


def decide(outputs: Arrays, dataset: Dataset) -> Arrays:
    """``tags`` [N, L], the class with the largest logit of every token, padding included."""
    return {"tags": outputs["logits"].argmax(2)}


def agree(one: Arrays, other: Arrays) -> NDArray[np.float64]:
    """The share of tokens of which both say the same."""
    return np.asarray((one["tags"] == other["tags"]).mean(axis=1), np.float64)


def find_entities(tags: Sequence[str]) -> list[Span]:
    """The entities that tags spell, in their order.

    ``B-X`` begins one and ``I-X`` goes on; an ``I-X`` that continues nothing begins one, too: the reading of conlleval
    (Tjong Kim Sang and De Meulder 2003) and of seqeval as it comes. ``S-X`` and ``U-X`` are one alone, ``E-X`` and
    ``L-X`` end one. A name without such a letter stands for ``I-`` and itself.
    """
    found: list[Span] = []
    open_type, start, ended = "", 0, True
    for place, tag in enumerate([*tags, OUTSIDE]):
        letter, kind = _split_tag(tag)
        continues = letter in ("I", "E") and kind == open_type and not ended
        if open_type and not continues:
            found.append((open_type, start, place - 1))
            open_type = ""
        if letter != OUTSIDE and not continues:
            open_type, start = kind, place
        ended = letter in ("E", "S")
    return found


def _split_tag(tag: str) -> tuple[str, str]:
    """The letter, one of O, B, I, E, S, and the type."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    letter, dash, kind = tag.partition("-")
    if not dash or letter not in ("B", "I", "E", "S", "L", "U"):
        return "I", tag
    return {"L": "E", "U": "S"}.get(letter, letter), kind


def count_entities(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, 3]: entities that are found and right (the same type and places), that are found, and that are there; of the
    tokens that have a class alone, one beside the other."""
    names, ignored = _facts(dataset)["names"], _facts(dataset)["ignored"]
    rows = np.zeros((len(targets["tags"]), 3))
    chosen = outputs["logits"].argmax(2)
    for row, said, there in zip(rows, chosen, targets["tags"], strict=True):
        counted = there != ignored
        found, wanted = (
            set(find_entities([names[each] for each in tags[counted].tolist()]))
            for tags in (said, there)
        )
        row[:] = len(found & wanted), len(found), len(wanted)
    return rows


def entity_f1(rows: NDArray[np.float64]) -> float:
    """The harmonic mean of precision and recall over all samples together; 0 where there is no entity."""
    right, found, wanted = rows.sum(axis=0)
    return float(2 * right / (found + wanted)) if found + wanted else 0.0


def entity_precision(rows: NDArray[np.float64]) -> float:
    """The share of entities found that are right; 0 where none is found."""
    return ratio(rows[:, :2])


def entity_recall(rows: NDArray[np.float64]) -> float:
    """The share of entities there that are found; 0 where there is none."""
    return ratio(rows[:, ::2])


def correct_tokens(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, 2]: how many tokens have the right class, and how many have one."""
    tags = targets["tags"]
    counted = tags != _facts(dataset)["ignored"]
    right = (outputs["logits"].argmax(2) == tags) & counted
    return np.stack([right.sum(1), counted.sum(1)], axis=1).astype(np.float64)


def guess(targets: Arrays, dataset: Dataset) -> Arrays:
    """The logarithm of how often each class occurs, for every token."""
    facts, tags = _facts(dataset), targets["tags"]
    classes = len(facts["names"])
    counts = np.bincount(tags[tags != facts["ignored"]], minlength=classes)
    logits = np.log(counts + 1e-9).reshape(1, 1, classes)
    return {"logits": np.broadcast_to(logits, (*tags.shape, classes))}


def describe(
    decisions: Arrays, dataset: Dataset, count: int
) -> list[list[tuple[str, float | None]]]:
    """The first `count` entities of each text, with the numbers of their tokens from 0 on."""
    names = _facts(dataset)["names"]
    lines: list[list[tuple[str, float | None]]] = []
    for tags in decisions["tags"].tolist():
        spans = find_entities([names[each] for each in tags])[:count]
        lines.append([(f"{kind}: tokens {first} to {last}", None) for kind, first, last in spans])
    return lines


def describe_inputs(
    decisions: Arrays, rows: Mapping[str, Rows], dataset: Dataset, count: int
) -> list[list[tuple[str, float | None]]]:
    """The first `count` entities of each text, word by word: the tag of a word is that of its first token. Where words
    are not known, as `describe`."""
    names, field = _facts(dataset)["names"], dataset.inputs[TEXT]
    lines: list[list[tuple[str, float | None]]] = []
    for tags, row in zip(decisions["tags"], cast("RaggedRows", rows[TEXT]), strict=True):
        words = field.find_words(row) if isinstance(field, Tokens) else []
        if not words:
            return describe({"tags": decisions["tags"]}, dataset, count)
        spans = find_entities([names[tags[word.first]] for word in words])[:count]
        lines.append(
            [
                (f"{kind}: {' '.join(word.text for word in words[first : last + 1])}", None)
                for kind, first, last in spans
            ]
        )
    return lines


def _facts(dataset: Dataset) -> dict[str, Any]:
    return dataset.targets["tags"].to_json()


TASK = Task(
    targets={"tags": "tags"},
    outputs=(
        Tensor("logits", "float32", (BATCH, "text_length", "classes"), "logits", 0, 2, "tags"),
    ),
    losses=("cross-entropy",),
    metrics=(
        Metric("entity F1", "fraction", "higher", count_entities, entity_f1),
        Metric("entity precision", "fraction", "higher", count_entities, entity_precision),
        Metric("entity recall", "fraction", "higher", count_entities, entity_recall),
        Metric("token accuracy", "fraction", "higher", correct_tokens, ratio),
    ),
    decide=decide,
    agree=agree,
    guess=guess,
    describe=describe,
    describe_inputs=describe_inputs,
    soft_losses=({"name": "kd", "temperature": 2.0},),
    least_agreement=0.9,
)
"""F1 of entities as seqeval computes it; a guess gives every token the commonest class."""
