from __future__ import annotations

import numpy as np
import pytest

from edgekd.bench.answers import float_allowance
from edgekd.bench.answers import judge_answers


def test_fp32_must_agree_and_the_others_need_not() -> None:
    want = np.eye(10, dtype=np.float32)
    close, far = want + np.float32(5e-5), want + np.float32(2e-4)
    assert judge_answers(0.9, close, want, "fp32", 1e-4).fault == ""
    assert judge_answers(0.9, far, want, "fp32", 1e-4).fault == "failed: parity 2.0e-04 > 1.0e-04"
    assert judge_answers(0.9, far, want, "bf16", 1e-4).fault == ""
    tied = np.zeros((10, 10), np.float32)
    tied[:, 3] = 1e-6
    turned = np.roll(tied, 1, axis=1)
    assert (
        judge_answers(0.9, turned, tied, "fp32", 1e-4).fault == "failed: top-1 agreement 0.0000 < 1"
    )
    bf16 = judge_answers(0.9, turned, tied, "bf16", 1e-4)
    assert bf16.fault == "" and bf16.agreement == 0
    assert judge_answers(0.9, want[:, :9], want, "fp32", 1e-4).fault.startswith(
        "failed: got (10, 9)"
    )


def test_what_float32_may_round_grows_with_large_logits_and_not_with_small_ones() -> None:
    assert float_allowance(np.full((4, 10), 9.9, np.float32), 1e-4) == 1e-4
    large = np.float32([[300.0, -400.0]])  # rms 250 sqrt(2)
    assert float_allowance(large, 1e-4) == pytest.approx(1e-4 * 25 * 2**0.5)
    want = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
    for scale in (1e2, 1e3, 1e4):  # the same model, its classifier multiplied
        off = np.float32(scale) * want * (1 + 1e-6)
        assert judge_answers(0.9, off, np.float32(scale) * want, "fp32", 1e-4).fault == ""
        wrong = np.float32(scale) * (want + np.float32(1e-3))
        assert "parity" in judge_answers(0.9, wrong, np.float32(scale) * want, "fp32", 1e-4).fault
    broken = np.full_like(want, np.nan)
    assert "parity" in judge_answers(0.9, broken, want, "fp32", 1e-4).fault


def test_int8_is_judged_in_steps_and_not_in_logits() -> None:
    want = np.random.default_rng(0).normal(size=(100, 10)).astype(np.float32) * 5
    off = want + np.float32(0.15)  # the same class everywhere
    told = judge_answers(0.9, off, want, "int8", 1e-4, step=0.1)
    assert told.fault == "" and told.steps == pytest.approx(1.5, rel=1e-4)
    far = judge_answers(0.9, want + np.float32(0.45), want, "int8", 1e-4, step=0.1)
    assert far.fault == "failed: logits 4.5 quantization steps off (rms) > 4"
    # a fine step is flipped often and means nothing: 3 % of the spread of logits is allowed anyhow
    fine = judge_answers(0.9, want + np.float32(0.1), want, "int8", 1e-4, step=0.01)
    assert fine.fault == "" and fine.steps == pytest.approx(10, rel=1e-3)
    assert judge_answers(0.9, want + np.float32(0.2), want, "int8", 1e-4, step=0.01).fault
    broken = np.full_like(want, np.nan)
    assert judge_answers(0.9, broken, want, "int8", 1e-4, step=0.1).fault.startswith(
        "failed: logits nan"
    )
    assert judge_answers(0.9, want, want, "fp32", 1e-4).steps is None


@pytest.mark.parametrize(
    ("samples", "turned", "fault"),
    [(100, 2, ""), (100, 3, "failed: top-1 agreement 0.9700 < 0.98"), (8, 1, ""), (8, 2, "0.7500")],
)
def test_int8_may_turn_one_class_or_two_of_a_hundred(samples: int, turned: int, fault: str) -> None:
    want = np.tile(np.float32([0.0, 0.01]), (samples, 1))
    told = want.copy()
    told[:turned] = told[:turned, ::-1]
    found = judge_answers(0.9, told, want, "int8", 1e-4, step=0.1).fault
    assert (fault in found) if fault else not found
