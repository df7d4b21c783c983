"""What is timed of a decoder is its first token, or the next behind a context that stays."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.bench.call import FIRST
from edgekd.bench.call import NEXT
from edgekd.bench.text_jobs import DRIFT
from edgekd.bench.text_jobs import TimedText
from tests.bench.test_generation import Counter


def texts(count: int, tokens: int) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(0)
    return [{"text": random.integers(0, 10, (1, tokens))} for _ in range(count)]


def test_a_first_token_begins_anew_each_time() -> None:
    stream = Counter()
    timed = TimedText(stream, kind=FIRST, length=6, longest=20)
    assert timed.inputs[0].shape == (1, 6)
    for feed in texts(3, 6):
        timed.bind(feed)()
        assert stream.fed == feed["text"][0].tolist()


def test_a_next_token_stands_behind_its_context() -> None:
    stream = Counter()
    stream.rewind(0)
    timed = TimedText(stream, kind=NEXT, length=100, longest=1000)
    first, second = texts(2, 101)
    steps = [timed.bind(feed) for feed in (first, second)]
    assert stream.length == 100
    lengths = set()
    for index in range(300):
        lengths.add(stream.length)
        steps[index % 2]()
    assert stream.fed[:100] == first["text"][0, :100].tolist()
    assert (min(lengths), max(lengths)) == (100, 101 + DRIFT)


def test_a_context_never_grows_beyond_the_model() -> None:
    stream = Counter()
    stream.rewind(0)
    timed = TimedText(stream, kind=NEXT, length=18, longest=20)
    step = timed.bind(texts(1, 19)[0])
    for _ in range(50):
        step()
        assert stream.length <= 20


@pytest.mark.parametrize(("kind", "length"), [(FIRST, 21), (NEXT, 20)])
def test_what_does_not_fit_is_refused_in_one_line(kind: str, length: int) -> None:
    with pytest.raises(ValueError, match=f"got a {kind} of 21 tokens, want at most 20"):
        TimedText(Counter(), kind=kind, length=length, longest=20)
