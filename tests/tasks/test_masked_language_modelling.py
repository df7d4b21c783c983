"""Masked language modelling: its figures against torch and transformers; decisions, chance, fills."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from edgekd import task
from edgekd.dataset import Dataset
from edgekd.field import from_rows
from edgekd.fields.masked_tokens import MaskedTokens
from edgekd.fields.tokens import Tokens
from edgekd.learn.chance import compute_standing
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.method.named_outputs import find_keys
from edgekd.learn.method.named_outputs import name_outputs
from edgekd.learn.settings import Term
from edgekd.named_member import NamedMember
from edgekd.tasks.masked_language_modelling import TASK
from edgekd.tokenizer import load_tokenizer
from tests.learn import text_network_example as example
from tests.tokenizer_example import masked_pieces

IGNORED = -100


def dataset(vocabulary: int = 11, **words: Any) -> Dataset:
    return Dataset(
        task="masked-language-modelling",
        inputs={"text": Tokens(vocabulary=vocabulary, usual=4, longest=30, **words)},
        targets={"masked_tokens": MaskedTokens(vocabulary=vocabulary, mask_token=vocabulary - 1)},
    )


def measure(logits: np.ndarray, masked: np.ndarray) -> dict[str, np.ndarray]:
    targets = {"masked_tokens": masked}
    return task.metric_rows(TASK.metrics, {"logits": logits}, targets, dataset(logits.shape[2]))


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    logits = (generator.normal(size=(13, 7, 11)) * 10).astype(np.float32)
    masked = generator.integers(0, 11, (13, 7))
    masked[generator.random(masked.shape) < 0.6] = IGNORED
    return logits, masked


@pytest.mark.parametrize("seed", range(4))
def test_metrics_are_those_of_torch_over_all_masked_tokens(seed: int) -> None:
    logits, masked = draw(seed)
    rows = measure(logits, masked)
    for drawn in (np.arange(13), np.random.default_rng(seed).integers(0, 13, 13)):
        nats = torch.nn.functional.cross_entropy(
            torch.tensor(logits[drawn], dtype=torch.float64).flatten(0, 1),
            torch.tensor(masked[drawn]).flatten(),
            ignore_index=IGNORED,
        ).item()
        kept = masked[drawn] != IGNORED
        right = (logits[drawn].argmax(2) == masked[drawn])[kept].mean()
        got = [metric.value(rows[metric.name][drawn]) for metric in TASK.metrics]
        np.testing.assert_allclose(got, [nats / math.log(2), math.exp(nats), right], rtol=1e-12)


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta", "electra"])
def test_figures_and_losses_are_those_that_transformers_computes(kind: str) -> None:
    """Of the package's model for masked tokens, with its own loss (`ignore_index` -100) over a padded batch."""
    transformers = pytest.importorskip("transformers")
    model = example.build(example.describe(kind), example.MASKED)
    assert type(model.network).__name__.endswith("ForMaskedLM")
    tokens, mask = example.texts()
    labels = torch.full_like(tokens, IGNORED)
    labels[0, [1, 5]], labels[1, [0, 2]] = torch.tensor([3, 9]), torch.tensor([20, 4])
    positions = torch.arange(tokens.shape[1])[None] + model.first_position
    given = {"input_ids": tokens, "attention_mask": mask, "labels": labels}
    named = {"position_ids": positions} if kind != "distilbert" else {}
    with torch.no_grad():
        want = float(model.network(**given, **named).loss)
        logits = model(tokens, mask)
    assert transformers.__version__
    outputs, targets = {"logits": logits.numpy()}, {"masked_tokens": labels.numpy()}
    data = dataset(example.VOCABULARY)
    assert task.compute_score(TASK, outputs, targets, data) * math.log(2) == pytest.approx(
        want, rel=1e-5
    )
    term = Term(loss=NamedMember(name="cross-entropy"))
    (bound,) = bind_terms([term])
    signals = name_outputs({"student_logits": logits, "masked_tokens": labels}, example.MASKED)
    keys = find_keys(bound.needs, example.MASKED)
    assert float(bound.function(*(signals[keys[name]] for name in bound.needs))) == pytest.approx(
        want, rel=1e-6
    )


def test_what_stands_at_tokens_that_are_not_asked_for_changes_nothing() -> None:
    logits, masked = draw(0)
    first = measure(logits, masked)
    beside = masked == IGNORED
    logits[beside] = np.random.default_rng(1).normal(size=(beside.sum(), 11)) * 1e4
    second = measure(logits, masked)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_an_even_guess_and_no_token_at_all() -> None:
    rows = measure(np.zeros((2, 5, 256)), np.full((2, 5), 7))
    values = {metric.name: metric.value(rows[metric.name]) for metric in TASK.metrics}
    assert values["bits per masked token"] == pytest.approx(8, abs=1e-12)
    assert values["masked perplexity"] == pytest.approx(256, abs=1e-9)
    nothing = measure(np.zeros((1, 2, 11)), np.full((1, 2), IGNORED))
    assert [metric.value(nothing[metric.name]) for metric in TASK.metrics] == [0, 1, 0]
    sure = np.zeros((1, 1, 11)) - 1e6 * (np.arange(11) > 0)
    assert math.isfinite(
        TASK.metrics[1].value(measure(sure, np.ones((1, 1), int))["masked perplexity"])
    )


def test_the_guess_knows_how_often_each_token_is_masked_and_nothing_more() -> None:
    masked = np.array([[1, 2, 1, 1], [1, 3, IGNORED, IGNORED]])
    targets = {"masked_tokens": masked}
    guessed = TASK.guess(targets, dataset())
    shares = np.array([4, 1, 1]) / 6
    want = -(shares * np.log2(shares)).sum()
    assert task.compute_score(TASK, guessed, targets, dataset()) == pytest.approx(want, abs=1e-6)
    assert compute_standing(TASK, guessed, targets, dataset()).skill == 0
    sure = {"logits": 100.0 * np.eye(11)[np.maximum(masked, 0)]}
    assert compute_standing(TASK, sure, targets, dataset()).skill == pytest.approx(1)


@pytest.mark.parametrize("vocabulary", [2, 11, 50])
def test_the_likeliest_tokens_are_those_of_a_softmax_in_order(vocabulary: int) -> None:
    logits = np.random.default_rng(0).normal(size=(3, 4, vocabulary)).astype(np.float32) * 5
    logits[0, 0] = 1.5  # all alike: in the order of their numbers
    decided = TASK.decide({"logits": logits}, dataset(vocabulary))
    most = decided["tokens"].shape[2]
    assert most == min(vocabulary, 20)
    want = torch.tensor(logits, dtype=torch.float64).softmax(2).numpy()
    order = np.argsort(-want, axis=2, kind="stable")[:, :, :most]
    assert np.array_equal(decided["tokens"][1:], order[1:])
    np.testing.assert_allclose(
        decided["probability"], np.take_along_axis(want, order, 2), rtol=1e-10
    )
    assert TASK.agree(decided, decided).tolist() == [1, 1, 1]
    other = TASK.decide({"logits": logits[:, ::-1]}, dataset(vocabulary))
    same = (logits.argmax(2) == logits[:, ::-1].argmax(2)).mean(1)
    assert TASK.agree(decided, other)[1:].tolist() == same[1:].tolist()


def test_the_blanks_of_a_text_are_filled_mask_after_mask() -> None:
    tokenizer = load_tokenizer(masked_pieces(), "tokenizer.json")
    spelled = tokenizer.library.get_vocab()
    words = {"encoding": "tokenizer", "tokenizer": tokenizer.digest}
    data = dataset(22, **words, tokenizer_file=masked_pieces())
    texts = ["ada [MASK] bob", "[MASK] met [MASK]", "ada met bob"]
    rows = [np.array(tokenizer.encode(text).tokens, np.int32) for text in texts]
    logits = np.full((3, max(map(len, rows)), 22), -30.0)
    for text, place, token, value in (
        (0, 2, "met", 2.0),
        (0, 2, "left", 1.0),
        (1, 1, "bob", 3.0),
        (1, 3, "zoe", 3.0),
        (2, 2, "cat", 9.0),
    ):
        logits[text, place, spelled[token]] = value
    decided = TASK.decide({"logits": logits}, data)
    assert TASK.describe_inputs is not None
    one, two, none = TASK.describe_inputs(decided, {"text": from_rows(rows, rows[0])}, data, 2)
    share = 1 / (1 + math.exp(-1))
    assert one == [("met", pytest.approx(share)), ("left", pytest.approx(1 - share))]
    assert [text for text, _ in two[::2]] == ["mask 1: bob", "mask 2: zoe"] and len(two) == 4
    assert none == [("got no [MASK], want it in the text", None)]
    plain = TASK.describe_inputs(
        TASK.decide({"logits": logits}, dataset(22)),
        {"text": from_rows(rows, rows[0])},
        dataset(22),
        1,
    )
    assert plain[0] == [(f"token {spelled['met']}", pytest.approx(share))]
    assert plain[2] == [("got no token 21, want it in the text", None)]


def test_there_is_a_logit_of_every_token_in_every_place() -> None:
    (end,) = task.interface_of(TASK, dataset()).outputs
    assert end.shape == ("batch", "text_length", 11) and end.class_axis == 2
