"""Gates of a decoder look at what writes its text."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekd import graph
from edgekd.bench.call import CONTEXT
from edgekd.devices import local
from edgekd.gate import ComparedPair
from edgekd.gates import latency
from edgekd.gates import parity
from edgekd.gating import sides
from tests import decoder_bundle_example
from tests import decoder_example


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> ComparedPair:
    """Of one bundle, twice."""
    folder = tmp_path_factory.mktemp("pair")
    path = decoder_bundle_example.make(folder)
    with sides.open_side(path) as side:
        ours, theirs = (
            sides.compile_side(side, local.DEVICE, folder / name) for name in ("run", "baseline")
        )
    return ComparedPair(ours, theirs, "none", "key")


def test_the_fused_file_is_compiled(pair: ComparedPair) -> None:
    read = graph.read(pair.run.engine.files["model.onnx"])
    assert "GroupQueryAttention" in {node.op for node in read.nodes}


def test_first_and_next_token_are_timed_at_half_the_longest_text(pair: ComparedPair) -> None:
    subjects = latency._list_subjects(pair)
    assert list(subjects) == ["latency", "latency.first-token", "latency.next-token"]
    run, _ = subjects["latency.next-token"]
    assert not isinstance(run, str) and run.call is not None
    assert run.call.sizes == {CONTEXT: decoder_example.LONGEST // 2}


def test_the_golden_text_is_part_of_parity(pair: ComparedPair) -> None:
    found = {each.gate: each for each in parity.judge(pair, parity.ParityConfig(), 0)}
    assert found[parity.TEXT].verdict == "pass"
    assert found[parity.TEXT].text == "the first 16 of 16 tokens are the trained model's own"
    model = decoder_example.decoder()
    for parameter in model.parameters():
        parameter.data *= 1.5
    folder = decoder_bundle_example.make(Path(pair.run.given).parent / "other", model)
    with sides.open_side(folder) as side:
        other = sides.compile_side(side, local.DEVICE, folder.parent / "engine")
    parts = tuple(part._replace(engine=other.engine) for part in pair.run.parts)
    wrong = pair._replace(run=pair.run._replace(parts=parts))
    found = {each.gate: each for each in parity.judge(wrong, parity.ParityConfig(), 0)}
    assert found[parity.TEXT].verdict == "fail" and found[parity.OUTPUTS].verdict == "fail"
