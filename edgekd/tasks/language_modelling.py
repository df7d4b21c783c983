"""The next token of a text, from those before it."""

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

TEXT, NEXT, BYTES = "text", "next_tokens", "text_bytes"
"""The input, and the targets: what follows each token, and how many bytes of UTF-8 all that follows is."""


def decide(outputs: Arrays, dataset: Dataset) -> Arrays:
    """``tokens`` [N, L], the likeliest after each token, and ``probability`` [N, L], its own."""
    logits = outputs["logits"]
    tokens = logits.argmax(2)
    probability = np.empty(tokens.shape)
    for row, each in zip(probability, logits, strict=True):
        row[:] = np.exp(each.max(1) - token_logits.log_sum(each))
    return {"tokens": tokens, "probability": probability}


def agree(one: Arrays, other: Arrays) -> NDArray[np.float64]:
    """The share of places where both say the same token."""
    return np.asarray((one["tokens"] == other["tokens"]).mean(axis=1), np.float64)


def sum_surprise(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, 3]: the negative log-likelihood of all that follows, in nats; how many tokens, and how many bytes that is."""
    rows = token_logits.sum_surprise(outputs["logits"], targets[NEXT], _facts(dataset)["ignored"])
    sizes = np.asarray(targets[BYTES], np.float64).reshape(-1, 1)
    return np.concatenate([rows, sizes], axis=1)


def bits_per_byte(rows: NDArray[np.float64]) -> float:
    """All nats in bits over all bytes of UTF-8: the one figure that tokenizers do not change; 0 where there is none."""
    nats, _, count = rows.sum(axis=0)
    return float(nats / (math.log(2) * count)) if count else 0.0


def correct_tokens(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, 2]: how many tokens are the likeliest, and how many count."""
    return token_logits.count_correct(outputs["logits"], targets[NEXT], _facts(dataset)["ignored"])


def right_answers(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, 2]: whether every token that counts is the likeliest, so that who writes the likeliest writes just these; and 1."""
    right, counted = correct_tokens(outputs, targets, dataset).T
    return np.stack([right == counted, np.ones(len(right))], axis=1).astype(np.float64)


def _holds_answers(dataset: Dataset) -> bool:
    return dataset.find_answer_end() is not None


def guess(targets: Arrays, dataset: Dataset) -> Arrays:
    """The logarithm of how often each token occurs, in every place."""
    facts = _facts(dataset)
    known = targets[NEXT], facts["vocabulary"], facts["ignored"]
    return {"logits": token_logits.guess_by_frequency(*known)}


def describe(
    decisions: Arrays, dataset: Dataset, count: int
) -> list[list[tuple[str, float | None]]]:
    """The likeliest token after the last, with its probability."""
    return _describe(decisions, [tokens.shape[0] for tokens in decisions["tokens"]], dataset)


def describe_inputs(
    decisions: Arrays, rows: Mapping[str, Rows], dataset: Dataset, count: int
) -> list[list[tuple[str, float | None]]]:
    """The same after the last token of each text, whatever fills it up."""
    return _describe(decisions, cast("RaggedRows", rows[TEXT]).lengths.tolist(), dataset)


def _describe(
    decisions: Arrays, lengths: list[int], dataset: Dataset
) -> list[list[tuple[str, float | None]]]:
    field = dataset.inputs[TEXT]
    lines: list[list[tuple[str, float | None]]] = []
    for tokens, probability, length in zip(
        decisions["tokens"], decisions["probability"], lengths, strict=True
    ):
        number = int(tokens[length - 1])
        told = field.preview(np.array([[number]])) if isinstance(field, Tokens) else ""
        known = isinstance(field, Tokens) and field.encoding
        said = f"next: {told!r}" if known else f"next: token {number}"
        lines.append([(said, float(probability[length - 1]))])
    return lines


def _facts(dataset: Dataset) -> dict[str, Any]:
    return dataset.targets[NEXT].to_json()


TASK = Task(
    targets={"next_tokens": "next-tokens", "text_bytes": "number"},
    outputs=(
        Tensor(
            "logits", "float32", (BATCH, "text_length", "vocabulary"), "logits", 0, 2, "next_tokens"
        ),
    ),
    losses=("cross-entropy",),
    metrics=(
        Metric("bits per byte", "number", "lower", sum_surprise, bits_per_byte, 0.0),
        Metric("perplexity", "number", "lower", sum_surprise, token_logits.perplexity),
        Metric("token accuracy", "fraction", "higher", correct_tokens, ratio),
        Metric("exact answers", "fraction", "higher", right_answers, ratio, fits=_holds_answers),
    ),
    decide=decide,
    agree=agree,
    guess=guess,
    describe=describe,
    describe_inputs=describe_inputs,
    soft_losses=("forward-kl",),
)
"""Bits per byte of held-out text; a guess knows how often each token occurs, and nothing of its place."""
