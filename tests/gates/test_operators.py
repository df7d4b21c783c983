from __future__ import annotations

from pathlib import Path

import pytest

from edgekd.gates import operators
from tests import gate_example

GOOD = {"QLinearConv u8": 21, "QLinearAdd u8": 9, "QuantizeLinear f32": 1}
FALLEN = {"QLinearConv u8": 10, "QLinearAdd u8": 9, "QuantizeLinear f32": 12}


@pytest.mark.parametrize(
    ("before", "now", "config", "verdicts"),
    [
        (GOOD, GOOD, {}, ["pass", "pass"]),
        (GOOD, {**GOOD, "Conv f32": 11}, {}, ["fail", "fail"]),
        (GOOD, {**GOOD, "Conv f32": 11}, {"allow": ["Conv f32"]}, ["pass", "fail"]),
        (GOOD, {**GOOD, "Conv f32": 1}, {"allow": ["Conv f32"], "float_kernels": 1}, ["pass"] * 2),
        (GOOD, FALLEN, {}, ["pass", "fail"]),  # no new kind, but eleven more in float
        (GOOD, {"QLinearConv u8": 40}, {}, ["pass", "pass"]),
        ({"Conv f32": 9}, {"Conv f32": 20}, {}, ["pass", "pass"]),  # larger, but no fallback
        ({"Conv f32": 9}, {"Conv f32": 9, "HardSwish f32": 3}, {}, ["fail", "pass"]),
    ],
)
def test_new_kinds_and_more_floats_fail(
    tmp_path: Path, before: dict, now: dict, config: dict, verdicts: list[str]
) -> None:
    pair = gate_example.pair(tmp_path, run={"kernels": now})
    pair = pair._replace(baseline=pair.baseline._replace(kernels=before))
    found = operators.judge(pair, operators.OperatorsConfig(**config), 0)
    assert [one.verdict for one in found] == verdicts


def test_what_is_new_is_named(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path, run={"kernels": {**gate_example.KERNELS, "Conv f32": 11}})
    kinds, _ = operators.judge(pair, operators.OperatorsConfig(), 0)
    assert kinds.text == "new: 11 x Conv f32" and kinds.evidence == {"new": {"Conv f32": 11}}


def test_kernels_of_two_engines_are_not_compared(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path)
    engine = pair.run.engine._replace(runtime="openvino")
    found = operators.judge(
        pair._replace(run=pair.run._replace(engine=engine)), operators.OperatorsConfig(), 0
    )
    assert {one.verdict for one in found} == {"inconclusive"}
    assert "openvino fp32 and onnxruntime fp32 cannot be compared" in found[0].text
