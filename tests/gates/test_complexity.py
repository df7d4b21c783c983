from __future__ import annotations

from pathlib import Path

from edgekd.gates import complexity
from tests import gate_example


def test_weights_are_counted_and_macs_are_asked_only_on_demand(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path)
    found = gate_example.only(complexity.judge(pair, complexity.ComplexityConfig(), 0))
    assert (found.gate, found.got, found.verdict) == ("complexity.parameters", 48, "pass")
    more = pair._replace(run=pair.run._replace(complexity={"parameters": 49, "macs": 49}))
    told = complexity.judge(more, complexity.ComplexityConfig(macs=0.0), 0)
    assert [f.verdict for f in told] == ["fail", "fail"]


def test_what_a_bundle_does_not_tell_is_not_measured(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path)
    pair = pair._replace(baseline=pair.baseline._replace(complexity={"parameters": 48}))
    _, macs = complexity.judge(pair, complexity.ComplexityConfig(macs=0.0), 0)
    assert macs.verdict == "inconclusive" and macs.text.startswith("not measured: a bundle")
