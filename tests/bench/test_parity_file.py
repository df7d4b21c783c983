from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from edgekd.bench.differences import Differences
from edgekd.bench.differences import compare_answers
from edgekd.bench.golden import GoldenGroup
from edgekd.bench.parity_file import describe_float
from edgekd.bench.parity_file import describe_noise
from edgekd.bench.parity_file import describe_quantized
from edgekd.bench.parity_file import read_rounding
from edgekd.bench.parity_file import read_steps
from edgekd.bundle import write as bundle_write
from edgekd.errors import InputError
from tests import bundle_example


def differences(got: np.ndarray, want: np.ndarray) -> Differences:
    """Of the logits [N, C] of a classifier."""
    wanted = {"usual": GoldenGroup({"x": np.zeros((len(want), 1))}, {"logits": want})}
    return compare_answers({"usual": {"logits": got}}, wanted, same_class)


def same_class(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> np.ndarray:
    return one["logits"].argmax(1) == other["logits"].argmax(1)


def checked(got: np.ndarray, want: np.ndarray) -> dict[str, Any]:
    return describe_float(differences(got, want), tolerance=1e-4, opset=18)


def quantized(
    found: Differences, steps: Mapping[str, float | None], rounded: Differences | None = None
) -> dict[str, Any]:
    return describe_quantized(found, steps, rounded=rounded or found, profile="x86", opset=18)


@pytest.mark.parametrize("off", [2e-4, float("nan"), float("inf")])
def test_answers_out_of_tolerance_are_refused_with_both_numbers(off: float) -> None:
    want = np.eye(4, dtype=np.float32)
    got = want.copy()
    got[0, 0] += off
    with pytest.raises(InputError) as caught:
        checked(got, want)
    assert f"got logits {off:.3g}"[:14] in caught.value.line() and "0.0001" in caught.value.line()
    assert checked(got[1:], want[1:])["max_abs"] == 0


def test_large_logits_are_held_to_a_part_of_their_size_and_the_bundle_to_the_same() -> None:
    want = np.random.default_rng(0).normal(size=(16, 10)).astype(np.float32) * 800
    parity = checked(want * np.float32(1 + 1e-6), want)
    assert 1e-4 < parity["max_abs"] < parity["allowed"] == pytest.approx(0.008, rel=0.2)
    row = bundle_example.row("onnxruntime-fp32-1t", parity_max_abs=parity["max_abs"])
    asked = bundle_write.tolerances([row], "", parity)["onnxruntime/fp32"]
    assert asked["max_abs"] == parity["allowed"]
    with pytest.raises(InputError, match="logits 0.8 away"):
        checked(want + np.float32(0.8), want)


def test_steps_are_told_where_known() -> None:
    want = np.eye(4, dtype=np.float32)
    found = differences(want + np.float32(0.1), want)
    parity = quantized(found, {"logits": 0.05})
    assert parity["max_steps"] == pytest.approx(2) and parity["agreement"] == 1
    assert parity["logit_step"] == 0.05 and "outputs" not in parity
    groups = {"usual": GoldenGroup({"x": want}, {"logits": want})}
    assert read_steps(parity, groups) == {"logits": 0.05}
    unknown = quantized(found, {"logits": None})
    assert unknown["max_steps"] is None and read_steps(unknown, groups) == {}
    assert read_steps(checked(want, want), groups) == {}


def test_what_rounding_does_is_written_read_back_and_said_where_it_is_much() -> None:
    want = np.random.default_rng(0).normal(size=(50, 10)).astype(np.float32)
    same, near = differences(want, want), differences(want + np.float32(0.01), want)
    turned = want.copy()
    turned[:3] = np.roll(want[:3], 1, axis=1)
    moved = differences(turned, want)
    noise = read_rounding(quantized(same, {"logits": 0.05}, moved))
    assert noise.rms == {"logits": moved.rms} and noise.agreement == pytest.approx(0.94)
    assert read_rounding(checked(want, want)) == ({}, 1.0)
    assert describe_noise(same) == describe_noise(near) == ""
    part = moved.rms / float(want.std())
    assert f"by {part:.1%} of their spread and changes 6.0% of the decisions" in describe_noise(
        moved
    )
    few = differences(turned[2:], want[2:])  # one of 48
    assert few.mean_agreement > 0.979 and describe_noise(few)
    flat = np.ones((4, 3), np.float32)
    assert "100000.0% of their spread" in describe_noise(differences(flat + np.float32(1000), flat))


def test_each_of_several_outputs_is_checked_and_stated_up_to_the_bundle() -> None:
    one = np.eye(4, dtype=np.float32)
    found = differences(one, one)
    (logits,) = found.outputs.values()
    off = logits._replace(max_abs=2e-4, rms=1e-4)
    same = found._replace(outputs={"logits": logits, "boxes": logits})
    parity = describe_float(same, tolerance=1e-4, opset=18)
    assert parity["outputs"]["boxes"] == {"max_abs": 0.0, "allowed": 1e-4}
    differs = found._replace(outputs={"logits": logits, "boxes": off})
    with pytest.raises(InputError, match="got boxes 0.0002 away"):
        describe_float(differs, tolerance=1e-4, opset=18)
    stated = quantized(differs, {"logits": None, "boxes": 1e-4})
    assert stated["outputs"]["boxes"] == {"max_abs": 2e-4, "rms": 1e-4, "step": 1e-4}
    assert stated["max_steps"] == pytest.approx(2) and stated["logit_step"] == 1e-4
    groups = {"usual": GoldenGroup({"x": one}, {"logits": one, "boxes": one})}
    assert read_steps(stated, groups) == {"boxes": 1e-4}
    several = {
        "logits": {"max_abs": 0.5, "rms": 0.1, "steps": None},
        "boxes": {"max_abs": 2e-4, "rms": 1e-4, "steps": 2.0},
    }
    more = {"profile": "x86", "parity_max_abs": 0.5, "parity_rms": 0.1, "parity_outputs": several}
    rows = [bundle_example.row("onnxruntime-int8-1t", **more)]
    asked = bundle_write.tolerances(rows, "x86", stated)["onnxruntime/int8"]
    assert asked["outputs"] == {
        "logits": {"max_abs": 1.0, "rms": 0.1},
        "boxes": {"max_abs": 8e-4, "rms": 1e-4, "step": 1e-4},
    }
