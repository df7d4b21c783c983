from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from edgekd.bench.answers import Answers
from edgekd.bench.answers import RoundingNoise
from edgekd.bench.answers import explain_other_operators
from edgekd.bench.answers import find_rounding
from edgekd.bench.answers import float_allowance
from edgekd.bench.answers import judge_answers
from edgekd.bench.differences import compare_answers
from edgekd.bench.golden import GoldenGroup
from tests import text_example


def same_class(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> np.ndarray:
    return one["logits"].argmax(1) == other["logits"].argmax(1)


def judged(
    got: np.ndarray, want: np.ndarray, precision: str, *, step: float | None = None
) -> Answers:
    """The verdict on the logits [N, C] of a classifier."""
    wanted = {"usual": GoldenGroup({"x": np.zeros((len(want), 1))}, {"logits": want})}
    found = compare_answers({"usual": {"y": got}}, wanted, same_class)
    return judge_answers(0.9, found, precision, 1e-4, {} if step is None else {"logits": step})


def test_fp32_must_agree_and_the_others_need_not() -> None:
    want = np.eye(10, dtype=np.float32)
    close, far = want + np.float32(5e-5), want + np.float32(2e-4)
    assert judged(close, want, "fp32").status.word == "ok"
    assert judged(far, want, "fp32").status.reason == "logits: parity 2.0e-04 > 1.0e-04"
    assert judged(far, want, "bf16").status.word == "ok"
    tied = np.zeros((10, 10), np.float32)
    tied[:, 3] = 1e-6
    turned = np.roll(tied, 1, axis=1)
    assert judged(turned, tied, "fp32").status.reason == "agreement 0.0000 < 1"
    bf16 = judged(turned, tied, "bf16")
    assert bf16.status.word == "ok" and bf16.agreement == 0


def test_the_numbers_of_a_classifier_are_those_of_its_logits() -> None:
    random = np.random.default_rng(3)
    want = random.normal(size=(49, 10)).astype(np.float32)
    got = want + random.normal(size=want.shape).astype(np.float32) / 5
    found = judged(got, want, "int8", step=0.1)
    assert found.max_abs == float(np.abs(got - want).max())
    difference = np.asarray(got, np.float64) - np.asarray(want, np.float64)
    assert found.rms == float(np.sqrt(np.mean(difference**2)))
    assert found.agreement == float((got.argmax(1) == want.argmax(1)).mean()) < 1
    assert found.steps == found.max_abs / 0.1
    assert found.outputs == {"logits": (found.max_abs, found.rms, found.steps)}


def test_what_float32_may_round_grows_with_large_logits_and_not_with_small_ones() -> None:
    assert float_allowance(9.9, 1e-4) == 1e-4
    assert float_allowance(250 * 2**0.5, 1e-4) == pytest.approx(1e-4 * 25 * 2**0.5)
    want = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
    for scale in (1e2, 1e3, 1e4):  # the same model, its classifier multiplied
        off = np.float32(scale) * want * (1 + 1e-6)
        assert judged(off, np.float32(scale) * want, "fp32").status.word == "ok"
        wrong = np.float32(scale) * (want + np.float32(1e-3))
        assert "parity" in judged(wrong, np.float32(scale) * want, "fp32").status.reason
    broken = np.full_like(want, np.nan)
    assert "parity nan" in judged(broken, want, "fp32").status.reason


def test_int8_is_judged_in_steps_and_not_in_logits() -> None:
    want = np.random.default_rng(0).normal(size=(100, 10)).astype(np.float32) * 5
    off = want + np.float32(0.15)  # the same class everywhere
    told = judged(off, want, "int8", step=0.1)
    assert told.status.word == "ok" and told.steps == pytest.approx(1.5, rel=1e-4)
    far = judged(want + np.float32(0.45), want, "int8", step=0.1)
    assert far.status.reason == "logits: 4.5 quantization steps off (rms) > 4"
    # a fine step is flipped often and means nothing: 3 % of the spread of logits is allowed anyhow
    fine = judged(want + np.float32(0.1), want, "int8", step=0.01)
    assert fine.status.word == "ok" and fine.steps == pytest.approx(10, rel=1e-3)
    assert judged(want + np.float32(0.2), want, "int8", step=0.01).status.reason
    beside = judged(want + np.float32(0.45), want, "int8-bf16", step=0.1)
    assert beside.status.word == "ok" and beside.steps == pytest.approx(4.5, rel=1e-4)
    broken = np.full_like(want, np.nan)
    assert judged(broken, want, "int8", step=0.1).status.reason.startswith("logits: nan")
    assert judged(want, want, "fp32").steps is None


def noisy(
    want: np.ndarray, got: np.ndarray, moved: float, agreement: float = 1.0, step: float = 0.01
) -> str:
    """What is wrong with an engine where rounding alone moves the logits by so much (rms)."""
    wanted = {"usual": GoldenGroup({"x": np.zeros((len(want), 1))}, {"logits": want})}
    found = compare_answers({"usual": {"y": got}}, wanted, same_class)
    steps = {"logits": step} if step else {"other": 1.0}
    noise = RoundingNoise({"logits": moved}, agreement)
    return judge_answers({}, found, "int8", 1e-4, steps, noise).status.reason


def test_int8_may_be_twice_as_far_off_as_rounding_alone() -> None:
    want = np.random.default_rng(0).normal(size=(100, 10)).astype(np.float32)
    for step in (0.01, 0.0):
        assert "of" in noisy(want, want + np.float32(0.19), 0.0, step=step)
        assert not noisy(want, want + np.float32(0.19), 0.1, step=step)
        assert noisy(want, want + np.float32(0.21), 0.1, step=step)
    assert noisy(want, want + np.float32(0.21), 0.1).endswith("off (rms) > 20")
    assert not noisy(want, want + np.float32(0.029), 0.001)  # quiet: as without
    assert noisy(want, want + np.float32(0.045), 0.001).endswith("off (rms) > 4")
    assert noisy(np.ones((9, 3), np.float32), np.full((9, 3), np.nan, np.float32), 0.1)
    flat = np.ones((9, 3), np.float32)
    assert not noisy(flat, flat + np.float32(0.19), 0.1, step=0.0)
    assert noisy(flat, flat + np.float32(0.21), 0.1, step=0.0)


def test_int8_may_turn_twice_as_many_classes_as_rounding_alone() -> None:
    want = np.tile(np.float32([0.0, 0.01]), (100, 1))
    got = want.copy()
    got[:10] = got[:10, ::-1]
    assert noisy(want, got, 0.0, 1.0) == "agreement 0.9000 < 0.98"
    assert noisy(want, got, 0.0, 0.96) == "agreement 0.9000 < 0.92"
    assert not noisy(want, got, 0.0, 0.95)


@pytest.mark.parametrize(
    ("samples", "turned", "fault"),
    [(100, 2, ""), (100, 3, "agreement 0.9700 < 0.98"), (8, 1, ""), (8, 2, "0.7500")],
)
def test_int8_may_turn_one_class_or_two_of_a_hundred(samples: int, turned: int, fault: str) -> None:
    want = np.tile(np.float32([0.0, 0.01]), (samples, 1))
    told = want.copy()
    told[:turned] = told[:turned, ::-1]
    found = judged(told, want, "int8", step=0.1).status.reason
    assert (fault in found) if fault else not found


def off_by(precision: str, steps: Mapping[str, float], **off: float) -> Answers:
    """The verdict on two outputs, at two lengths, that are wrong by so much."""
    inputs = {"usual": text_example.inputs(30, 5), "longest": text_example.inputs(30, 9)}
    wanted, answered = {}, {}
    for name, feeds in inputs.items():
        want = {end: a.astype(np.float32) for end, a in text_example.answers(feeds).items()}
        wanted[name] = GoldenGroup(feeds, want)
        answered[name] = {end: a + np.float32(off.get(end, 0.0)) for end, a in want.items()}
    found = compare_answers(answered, wanted, same_class)
    return judge_answers(0.9, found, precision, 1e-4, steps)


def test_one_of_several_outputs_is_named() -> None:
    assert off_by("fp32", {}, states=5e-5).status.word == "ok"
    found = off_by("fp32", {}, states=2e-4, logits=5e-5)
    assert found.status.reason == "states: parity 2.0e-04 > 1.0e-04"
    assert found.max_abs == found.outputs["states"].max_abs == pytest.approx(2e-4, rel=1e-2)
    assert found.outputs["logits"].max_abs == pytest.approx(5e-5, rel=1e-2)
    rounded = off_by("int8", {"logits": 0.1, "states": 0.2}, states=0.9, logits=0.3)
    assert rounded.status.reason == "states: 4.5 quantization steps off (rms) > 4"
    assert rounded.steps == pytest.approx(4.5, rel=1e-3)


def test_an_output_whose_step_is_not_known_is_held_to_its_spread() -> None:
    assert off_by("int8", {"logits": 0.1}, states=0.01).status.word == "ok"
    found = off_by("int8", {"logits": 0.1}, states=0.5)
    assert (
        found.status.reason.startswith("states: 0.") and "of its spread off" in found.status.reason
    )
    assert found.outputs["states"].steps is None


def test_a_decision_of_many_parts_may_differ_in_one_of_a_hundred() -> None:
    want = {"usual": GoldenGroup({"x": np.zeros((4, 1))}, {"y": np.ones((4, 2), np.float32)})}
    for share, fault in ((0.995, ""), (0.98, "agreement 0.9950 < 1")):
        rows = np.asarray([1, 1, 1, share])
        found = compare_answers({"usual": want["usual"].outputs}, want, lambda *_, rows=rows: rows)
        assert judge_answers(0.9, found, "fp32", 1e-4).status.reason == fault


def test_how_far_rounding_moves_outputs_is_in_units_of_what_is_allowed() -> None:
    small, large = np.ones((2, 3), np.float32), np.full((2, 3), 40, np.float32)
    plain = {"usual": {"logits": small}, "longest": {"logits": large}}
    moved = {"usual": {"logits": small + 0.25}, "longest": {"logits": large - 2}}
    assert find_rounding(moved, plain) == pytest.approx(0.5)  # 2 of logits of 40, allowed 4


def test_a_file_of_other_operators_is_held_to_what_measures_it() -> None:
    trained = {"usual": {"logits": np.zeros((2, 3), np.float32)}}
    plain = {"usual": {"logits": trained["usual"]["logits"] + 8e-5}}
    near, far = ({"usual": {"logits": plain["usual"]["logits"] + off}} for off in (1e-5, 6e-5))
    assert explain_other_operators(near, plain, trained, {}, 1e-4) == ""
    assert "off" in explain_other_operators(far, plain, trained, {}, 1e-4)  # 1.4e-4, 6e-5 of plain
    moved = {"usual": {"logits": trained["usual"]["logits"] + 0.3}}
    rounded = {"usual": {"logits": plain["usual"]["logits"] + 0.5}}
    assert explain_other_operators(rounded, plain, trained, moved, 1e-4) == ""
    assert explain_other_operators(rounded, plain, trained, trained, 1e-4) != ""
