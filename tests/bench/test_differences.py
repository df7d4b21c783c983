from __future__ import annotations

import numpy as np
import pytest

from edgekd.bench.differences import are_finite
from edgekd.bench.differences import compare_answers
from edgekd.bench.golden import GoldenGroup
from tests import text_example


def groups() -> dict[str, GoldenGroup]:
    found = {}
    for name, tokens in (("least", 1), ("usual", 5), ("longest", 9)):
        inputs = text_example.inputs(4, tokens)
        found[name] = GoldenGroup(inputs, text_example.answers(inputs))
    return found


def test_every_group_counts_by_its_numbers() -> None:
    wanted = groups()
    answered = {name: dict(group.outputs) for name, group in wanted.items()}
    answered["longest"]["states"] = answered["longest"]["states"] + 0.5
    answered["least"]["logits"] = answered["least"]["logits"] - 0.25
    rows = iter([np.zeros(4), np.ones(4), np.ones(4)])
    found = compare_answers(answered, wanted, lambda one, other: next(rows))
    states, logits = found.outputs["states"], found.outputs["logits"]
    assert (states.max_abs, logits.max_abs, found.max_abs) == pytest.approx((0.5, 0.25, 0.5))
    assert states.rms == pytest.approx(0.5 * (9 / 15) ** 0.5)  # 9 of 15 tokens
    assert logits.rms == pytest.approx(0.25 * (1 / 3) ** 0.5) and found.rms == states.rms
    assert found.mean_agreement == pytest.approx(2 / 3) and len(found.agreement) == 12
    everything = np.concatenate([group.outputs["states"].ravel() for group in wanted.values()])
    assert states.spread == pytest.approx(everything.std())
    assert states.size == pytest.approx(np.sqrt((everything**2).mean()))


def test_what_is_missing_or_of_another_shape_is_one_line() -> None:
    wanted = groups()
    answered = {name: dict(group.outputs) for name, group in wanted.items()}
    answered["usual"]["states"] = answered["usual"]["states"][:, :4]
    with pytest.raises(ValueError, match=r"^states \(4, 4, 4\), want \(4, 5, 4\)$"):
        compare_answers(answered, wanted, lambda one, other: np.ones(4))
    del answered["usual"]["states"]
    with pytest.raises(ValueError, match="^no output states, but logits$"):
        compare_answers(answered, wanted, lambda one, other: np.ones(4))


def test_numbers_of_classes_are_compared_as_numbers() -> None:
    wanted = {
        "usual": GoldenGroup({"x": np.zeros((2, 1))}, {"class": np.asarray([0, 9], np.uint8)})
    }
    answered = {"usual": {"class": np.asarray([1, 9], np.float32)}}
    found = compare_answers(answered, wanted, lambda one, other: np.ones(2))
    assert found.max_abs == 1


def test_one_number_that_is_none_is_seen() -> None:
    assert are_finite({"usual": {"y": np.ones(3), "z": np.ones(2)}})
    for wrong in (np.nan, np.inf, -np.inf):
        assert not are_finite({"usual": {"y": np.ones(3)}, "least": {"y": np.asarray([1, wrong])}})
