from __future__ import annotations

from pathlib import Path

from edgekd.devices import local
from edgekd.gate import ComparedPair
from edgekd.gates import parity
from edgekd.gating import sides
from tests import bundle_example
from tests import gate_example
from tests.bundle import sized_example


def test_a_model_that_answers_as_its_manifest_says_passes(tmp_path: Path) -> None:
    found = parity.judge(gate_example.pair(tmp_path), parity.ParityConfig(), 0)
    assert [f.gate for f in found] == [parity.OUTPUTS, parity.AGREEMENT, parity.BASELINE]
    assert {f.verdict for f in found} == {"pass"}
    assert found[0].got is not None and 0 <= found[0].got <= 1e-4
    assert (found[1].got, found[1].allowed) == (0, 1e-6)  # rounding of degrees


def sized_pair(tmp_path: Path) -> ComparedPair:
    """A bundle with a file for long texts beside itself."""
    (tmp_path / "parts").mkdir()
    made = sized_example.make(tmp_path / "parts")
    with sides.open_side(made) as told:
        side = sides.compile_side(told, local.DEVICE, tmp_path / "scratch")
    return ComparedPair(side, side, "none", "here")


def test_the_file_for_other_sizes_answers_too(tmp_path: Path) -> None:
    pair = sized_pair(tmp_path)
    usual, longest = pair.run.parts
    assert (set(usual.golden), set(longest.golden)) == ({"usual"}, {"longest"})
    assert {f.verdict for f in parity.judge(pair, parity.ParityConfig(), 0)} == {"pass"}
    wrong = pair.run._replace(parts=(usual, longest._replace(engine=usual.engine)))
    found = parity.judge(pair._replace(run=wrong), parity.ParityConfig(), 0)
    assert [f.verdict for f in found] == [
        "fail",
        "pass",
        "pass",
    ]  # ten times less sure, the same classes
    assert "golden samples (longest)" in found[0].text


def other_engine(tmp_path: Path, name: str) -> dict:
    """Files of a model that is not the bundle's: what a broken compile step would give."""
    model = tmp_path / name / "broken.onnx"
    bundle_example.model(model, seed=9)
    return {"model.onnx": model}


def test_an_engine_that_answers_something_else_fails(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path)
    engine = pair.run.engine._replace(files=other_engine(tmp_path, "run"))
    found = parity.judge(
        pair._replace(run=gate_example.with_engine(pair.run, engine)), parity.ParityConfig(), 0
    )
    assert [f.verdict for f in found] == ["fail", "fail", "pass"]


def test_a_baseline_that_is_not_itself_here_decides_nothing(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path)
    engine = pair.baseline.engine._replace(files=other_engine(tmp_path, "baseline"))
    wrong = pair._replace(baseline=gate_example.with_engine(pair.baseline, engine))
    found = parity.judge(wrong, parity.ParityConfig(), 0)
    assert [f.verdict for f in found] == ["pass", "pass", "inconclusive"]


def test_what_was_never_measured_is_not_known(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path)
    engine = pair.run.engine._replace(precision="bf16")
    found = parity.judge(
        pair._replace(run=gate_example.with_engine(pair.run, engine)), parity.ParityConfig(), 0
    )
    assert found[0].verdict == "inconclusive" and "stands in no manifest" in found[0].text
