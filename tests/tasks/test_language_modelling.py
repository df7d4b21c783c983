"""Language modelling: bits per byte and perplexity against torch and by hand; ignored tokens, decisions, chance."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from edgekd import task
from edgekd import token_logits
from edgekd.dataset import Dataset
from edgekd.field import from_rows
from edgekd.fields.conversation import Conversation
from edgekd.fields.next_tokens import NextTokens
from edgekd.fields.number import Number
from edgekd.fields.tokens import Tokens
from edgekd.learn.chance import compute_standing
from edgekd.tasks.language_modelling import TASK

IGNORED = -100
GOLDEN = json.loads(Path(__file__).with_name("language_golden.json").read_text())
"""Two texts of five tokens over a vocabulary of eleven, of reference/golden_tasks.json, and what its references say."""


def dataset(vocabulary: int = 11, encoding: str = "") -> Dataset:
    return Dataset(
        task="language-modelling",
        inputs={"text": Tokens(vocabulary=vocabulary, usual=4, longest=9, encoding=encoding)},
        targets={
            "next_tokens": NextTokens(vocabulary=vocabulary),
            "text_bytes": Number(columns=("bytes",), mean=(0.0,), std=(1.0,)),
        },
    )


METRICS = task.list_fitting(TASK.metrics, dataset())
"""Of running text."""


def measure(logits: np.ndarray, following: np.ndarray, sizes: np.ndarray) -> dict[str, np.ndarray]:
    targets = {"next_tokens": following, "text_bytes": sizes.astype(np.float32)[:, None]}
    return task.metric_rows(TASK.metrics, {"logits": logits}, targets, dataset(logits.shape[2]))


@pytest.mark.parametrize("seed", range(4))
def test_metrics_are_those_of_torch_over_all_that_counts(seed: int) -> None:
    generator = np.random.default_rng(seed)
    logits = (generator.normal(size=(13, 7, 11)) * 10).astype(np.float32)
    following = generator.integers(0, 11, (13, 7))
    following[generator.random(following.shape) < 0.3] = IGNORED
    sizes = generator.integers(1, 40, 13)
    rows = measure(logits, following, sizes)
    for draw in (np.arange(13), generator.integers(0, 13, 13)):
        nats = torch.nn.functional.cross_entropy(
            torch.tensor(logits[draw], dtype=torch.float64).flatten(0, 1),
            torch.tensor(following[draw]).flatten(),
            reduction="sum",
        ).item()
        kept = following[draw] != IGNORED
        right = (logits[draw].argmax(2) == following[draw])[kept].mean()
        want = [nats / math.log(2) / sizes[draw].sum(), math.exp(nats / kept.sum()), right]
        got = [metric.value(rows[metric.name][draw]) for metric in METRICS]
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_a_vocabulary_that_is_looked_at_in_pieces_is_that_of_torch() -> None:
    generator = np.random.default_rng(5)
    logits = (generator.normal(size=(11, 30_011)) * 20).astype(np.float32)  # 4 rows a piece
    want = torch.tensor(logits, dtype=torch.float64).logsumexp(1).numpy()
    np.testing.assert_allclose(token_logits.log_sum(logits), want, rtol=1e-14)
    one_by_one = [token_logits.log_sum(row[None])[0] for row in logits]
    assert token_logits.log_sum(logits).tolist() == one_by_one


def test_what_stands_in_ignored_places_changes_nothing() -> None:
    generator = np.random.default_rng(0)
    logits, following = generator.normal(size=(3, 5, 11)), generator.integers(0, 11, (3, 5))
    following[:, 3:] = IGNORED
    first = measure(logits, following, np.full(3, 4))
    logits[:, 3:] = generator.normal(size=(3, 2, 11)) * 1e4
    second = measure(logits, following, np.full(3, 4))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_an_even_guess_over_bytes_is_eight_bits() -> None:
    rows = measure(np.zeros((2, 5, 256)), np.full((2, 5), 7), np.full(2, 5))
    values = {metric.name: metric.value(rows[metric.name]) for metric in METRICS}
    assert values["bits per byte"] == pytest.approx(8, abs=1e-12)
    assert values["perplexity"] == pytest.approx(256, abs=1e-9)
    nothing = measure(np.zeros((1, 2, 11)), np.full((1, 2), IGNORED), np.zeros(1))
    assert [metric.value(nothing[metric.name]) for metric in METRICS] == [0, 1, 0]
    sure = np.zeros((1, 1, 11)) - 1e6 * (np.arange(11) > 0)
    assert math.isfinite(
        TASK.metrics[1].value(measure(sure, np.ones((1, 1), int), np.ones(1))["perplexity"])
    )


def test_values_of_the_reference() -> None:
    """Of reference/golden_tasks.json: its perplexity and bits per byte, of the same nine logits."""
    student, following = np.array(GOLDEN["student"]), np.array(GOLDEN["following"])
    # there position i says i + 1, and the last says nothing
    rows = measure(student[:, :-1], following[:, 1:], np.array([GOLDEN["bytes"], 0]))
    want = {name: GOLDEN["values"][name]["value"] for name in ("bits_per_byte", "perplexity")}
    assert TASK.metrics[0].value(rows["bits per byte"]) == pytest.approx(
        want["bits_per_byte"], 1e-11
    )
    assert TASK.metrics[1].value(rows["perplexity"]) == pytest.approx(want["perplexity"], 1e-11)


def test_the_next_token_is_told_after_the_last_of_each_text() -> None:
    logits = np.full((2, 3, 257), -20.0)
    logits[0, 2, ord("t") + 1] = logits[1, 0, ord("o") + 1] = 20
    data = dataset(257, "bytes")
    decided = TASK.decide({"logits": logits}, data)
    texts = [np.array([1, 2, 3], np.int32), np.array([4], np.int32)]
    assert TASK.describe_inputs is not None
    rows = {"text": from_rows(texts, texts[0])}
    first, second = TASK.describe_inputs(decided, rows, data, 5)
    assert first == [("next: 't'", pytest.approx(1))] and second[0][0] == "next: 'o'"
    assert TASK.describe(decided, dataset(257), 1)[0] == [
        (f"next: token {ord('t') + 1}", pytest.approx(1))
    ]
    assert TASK.agree(decided, decided).tolist() == [1, 1]


def test_the_guess_knows_how_often_each_token_occurs_and_nothing_more() -> None:
    following = np.array([[1, 2, 1, 1], [1, 3, IGNORED, IGNORED]])
    targets = {"next_tokens": following, "text_bytes": np.array([[4.0], [2.0]])}
    guessed = TASK.guess(targets, dataset())
    shares = np.array([4, 1, 1]) / 6
    want = -(shares * np.log2(shares)).sum()
    assert task.compute_score(TASK, guessed, targets, dataset()) == pytest.approx(want, abs=1e-6)
    assert compute_standing(TASK, guessed, targets, dataset()).skill == 0
    sure = {"logits": 100.0 * np.eye(11)[np.maximum(following, 0)]}
    assert compute_standing(TASK, sure, targets, dataset()).skill == pytest.approx(1)


def test_there_is_a_logit_of_every_token_in_every_place() -> None:
    (end,) = task.interface_of(TASK, dataset()).outputs
    assert end.shape == ("batch", "text_length", 11) and end.class_axis == 2


def test_an_answer_is_exact_where_the_likeliest_text_is_just_that() -> None:
    """Who writes the likeliest token behind its own, from a table of what follows what, writes the answer or does not."""
    text = Conversation(vocabulary=11, usual=4, longest=9, end=9)
    talks = Dataset(task="", inputs={"text": text}, targets=dict(dataset().targets))
    assert [each.name for each in task.list_fitting(TASK.metrics, talks)][-1] == "exact answers"
    after = np.array([3, 2, 4, 9, 3, 1, 1, 1, 1, 1, 1])  # 2 4 3 9: what is written behind a 1
    following = np.array([[IGNORED, 2, 4, 3, 9], [IGNORED, 2, 4, 5, 9], [IGNORED, 2, 4, 3, 1]])
    inputs = np.array([[7, 1, 2, 4, 3], [7, 1, 2, 4, 5], [7, 1, 2, 4, 3]])
    logits = np.eye(11)[after[inputs]]
    sizes = np.ones((3, 1), np.float32)
    rows = task.metric_rows(
        TASK.metrics, {"logits": logits}, {"next_tokens": following, "text_bytes": sizes}, talks
    )
    assert rows["exact answers"].tolist() == [[1, 1], [0, 1], [0, 1]]
