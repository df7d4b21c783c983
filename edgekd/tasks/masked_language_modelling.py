"""The tokens of a text that are masked, from all others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from typing import Any
from typing import cast

import numpy as np

from edgekd import token_logits
from edgekd.fields.tokens import Tokens
from edgekd.interface import BATCH
from edgekd.interface import Tensor
from edgekd.task import Metric
from edgekd.task import Task
from edgekd.task import ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from edgekd.dataset import Dataset
    from edgekd.field import Arrays
    from edgekd.field import RaggedRows
    from edgekd.field import Rows

TEXT, MASKED = "text", "masked_tokens"
"""The input, and the target."""
MOST_FILLS = 20
"""Tokens that are offered for a mask."""


def decide(outputs: Arrays, dataset: Dataset) -> Arrays:
    """``tokens`` [N, L, K], the likeliest in each place, the first the likeliest of all, and ``probability`` [N, L, K]."""
    logits = outputs["logits"]
    most = min(MOST_FILLS, logits.shape[2])
    tokens = np.empty((*logits.shape[:2], most), np.int64)
    probability = np.empty(tokens.shape, np.float64)
    for number, each in enumerate(logits):  # one text: a vocabulary is large
        chosen = np.argpartition(each, -most, axis=1)[:, -most:]
        values = np.take_along_axis(each, chosen, axis=1)
        order = np.lexsort((chosen, -values), axis=1)
        tokens[number] = np.take_along_axis(chosen, order, axis=1)
        wide = np.take_along_axis(values, order, axis=1).astype(np.float64)
        probability[number] = np.exp(wide - token_logits.log_sum(each)[:, None])
    return {"tokens": tokens, "probability": probability}


def agree(one: Arrays, other: Arrays) -> NDArray[np.float64]:
    """The share of places, masked or not, where both find the same token the likeliest."""
    same = one["tokens"][:, :, 0] == other["tokens"][:, :, 0]
    return np.asarray(same.mean(axis=1), np.float64)


def sum_surprise(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, 2]: the negative log-likelihood of all masked tokens, in nats, and how many they are."""
    known = targets[MASKED], _facts(dataset)["ignored"]
    return token_logits.sum_surprise(outputs["logits"], *known)


def bits_per_token(rows: NDArray[np.float64]) -> float:
    """Bits a masked token, all tokens of all texts together; of another tokenizer, another figure."""
    return ratio(rows) / math.log(2)


def correct_tokens(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, 2]: of how many masked tokens the likeliest is right, and how many there are."""
    known = targets[MASKED], _facts(dataset)["ignored"]
    return token_logits.count_correct(outputs["logits"], *known)


def guess(targets: Arrays, dataset: Dataset) -> Arrays:
    """The logarithm of how often each token is masked, in every place."""
    facts = _facts(dataset)
    known = targets[MASKED], facts["vocabulary"], facts["ignored"]
    return {"logits": token_logits.guess_by_frequency(*known)}


def describe(
    decisions: Arrays, dataset: Dataset, count: int
) -> list[list[tuple[str, float | None]]]:
    """The likeliest token of each place, in a line."""
    field = dataset.inputs[TEXT]
    lines: list[list[tuple[str, float | None]]] = []
    for tokens in decisions["tokens"]:
        best = tokens[:, 0]
        told = field.preview(best[None]) if isinstance(field, Tokens) else ""
        lines.append([(str(told or best.tolist()), None)])
    return lines


def describe_inputs(
    decisions: Arrays, rows: Mapping[str, Rows], dataset: Dataset, count: int
) -> list[list[tuple[str, float | None]]]:
    """The `count` likeliest tokens of each place with the mask token, mask after mask; of several masks with their number."""
    mask, field = _facts(dataset)["mask_token"], dataset.inputs[TEXT]
    lines: list[list[tuple[str, float | None]]] = []
    for tokens, probability, row in zip(
        decisions["tokens"], decisions["probability"], cast("RaggedRows", rows[TEXT]), strict=True
    ):
        places = np.flatnonzero(np.asarray(row) == mask)
        found: list[tuple[str, float | None]] = []
        for number, place in enumerate(places, 1):
            before = f"mask {number}: " if len(places) > 1 else ""
            fills = zip(tokens[place, :count], probability[place, :count], strict=True)
            found += [(before + _name_token(field, int(each)), float(p)) for each, p in fills]
        lines.append(found or [(f"got no {_name_token(field, mask)}, want it in the text", None)])
    return lines


def _name_token(field: Any, token: int) -> str:
    """Its spelling where a tokenizer is at hand, else its number."""
    if isinstance(field, Tokens) and field.tokenizer_file:
        return field.load_tokenizer().spell(token)
    return f"token {token}"


def _facts(dataset: Dataset) -> dict[str, Any]:
    return dataset.targets[MASKED].to_json()


TASK = Task(
    targets={"masked_tokens": "masked-tokens"},
    outputs=(
        Tensor(
            "logits",
            "float32",
            (BATCH, "text_length", "vocabulary"),
            "logits",
            0,
            2,
            "masked_tokens",
        ),
    ),
    losses=("cross-entropy",),
    metrics=(
        Metric("bits per masked token", "number", "lower", sum_surprise, bits_per_token, 0.0),
        Metric("masked perplexity", "number", "lower", sum_surprise, token_logits.perplexity),
        Metric("masked accuracy", "fraction", "higher", correct_tokens, ratio),
    ),
    decide=decide,
    agree=agree,
    guess=guess,
    describe=describe,
    describe_inputs=describe_inputs,
    soft_losses=({"name": "kd", "temperature": 2.0},),
)
"""Bits a masked token; a guess knows how often each token occurs, and nothing of its text."""
