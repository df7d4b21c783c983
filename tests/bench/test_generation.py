"""The next token is the likeliest, or drawn by a hash in the shares of the softmax."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgekd.bench.generation import TokenChoice
from edgekd.bench.generation import choose_token
from edgekd.bench.generation import draw_number
from edgekd.bench.generation import generate_text
from edgekd.bench.generation import measure_margin


class Counter:
    """A stream in which the likeliest token is the one after the last."""

    def __init__(self) -> None:
        self.length, self.fed = 5, list[int]()

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        self.fed += tokens.tolist()
        self.length += len(tokens)
        return np.eye(10, dtype=np.float32)[(self.fed[-1] + 1) % 10]

    def rewind(self, length: int) -> None:
        self.length, self.fed = length, self.fed[:length]


def test_the_likeliest_tokens_one_after_the_other() -> None:
    stream = Counter()
    found = generate_text(stream, np.array([1, 2]), 4)
    assert found.tokens == [3, 4, 5, 6]
    assert found.margins == [1.0] * 4
    assert stream.fed == [1, 2, 3, 4, 5]  # the last is not asked what follows


def test_an_end_is_the_last_token() -> None:
    assert generate_text(Counter(), np.array([1]), 9, ends=(4, 7)).tokens == [2, 3, 4]


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, 0), (2.0, 0), (1.0, 2)])
def test_draws_have_the_shares_of_the_softmax(temperature: float, top_k: int) -> None:
    logits = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    sampling = TokenChoice(temperature, top_k, seed=3)
    drawn = np.bincount([choose_token(logits, sampling, i) for i in range(4000)], minlength=3)
    shares = np.array([0.5, 0.3, 0.2 * (top_k == 0)]) ** (1 / temperature)
    want = shares / shares.sum()
    assert np.abs(drawn / 4000 - want).max() < 4 * math.sqrt(0.25 / 4000)


@pytest.mark.parametrize("choice", [{"top_p": 0.7}, {"top_p": 0.05}, {"top_k": 4, "top_p": 0.6}])
def test_what_may_be_drawn_is_what_transformers_leaves(choice: dict[str, float]) -> None:
    torch, warpers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    logits = np.random.default_rng(1).normal(0, 1.5, 12).astype(np.float32)
    rest = torch.from_numpy(logits[None] / 1.3)
    if "top_k" in choice:
        rest = warpers.TopKLogitsWarper(choice["top_k"])(None, rest)
    want = warpers.TopPLogitsWarper(choice["top_p"])(None, rest).softmax(1)[0].numpy()
    sampling = TokenChoice(1.3, **choice, seed=4)  # type: ignore[arg-type]
    drawn = np.bincount([choose_token(logits, sampling, i) for i in range(4000)], minlength=12)
    assert set(np.flatnonzero(drawn)) <= set(np.flatnonzero(want))
    assert np.abs(drawn / 4000 - want).max() < 4 * math.sqrt(0.25 / 4000)


def test_draws_are_hashes() -> None:
    first = [draw_number(7, index) for index in range(50)]
    assert first == [draw_number(7, index) for index in range(50)]
    assert first != [draw_number(8, index) for index in range(50)]
    assert all(0 <= each < 1 for each in first)


def test_the_margin_of_a_token() -> None:
    logits = np.array([1.0, 4.0, 2.5], np.float32)
    assert measure_margin(logits, 1) == 1.5
    assert measure_margin(logits, 0) == -3.0


@pytest.mark.parametrize("temperature", [1e-3, 1e-320])
def test_a_temperature_near_zero_takes_the_likeliest(temperature: float) -> None:
    logits = np.array([1.0, 900.0, 2.5], np.float32)
    assert choose_token(logits, TokenChoice(temperature), 0) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_refused(value: float) -> None:
    class Broken(Counter):
        def decode(self, tokens: np.ndarray) -> np.ndarray:
            return np.array([0, value, 1], np.float32)

    with pytest.raises(ValueError, match="got NaN or infinity"):
        generate_text(Broken(), np.array([1]), 2)
