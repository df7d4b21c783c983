from __future__ import annotations

from pathlib import Path

import pytest

from edgekd.bench.pair.significance import LEVEL
from edgekd.gates import memory
from tests import gate_example


@pytest.mark.parametrize(
    ("more_bytes", "verdict", "fails"),
    [
        (0, "pass", False),
        (2_300_000, "pass", False),
        (2_500_000, "inconclusive", False),
        (4_000_000, "inconclusive", True),
    ],
)
def test_a_growth_beyond_the_limit_has_a_small_p(
    tmp_path: Path, more_bytes: int, verdict: str, fails: bool
) -> None:
    worker = gate_example.worker(tmp_path, more_bytes=more_bytes)  # allowed: 5 % of 50 MB
    pair = gate_example.pair(tmp_path, worker=worker)
    found = gate_example.only(memory.judge(pair, memory.MemoryConfig(), 0))
    assert found.verdict == verdict and (found.p_value <= LEVEL) == fails
    assert found.got == pytest.approx(more_bytes, abs=100_000)
    assert found.allowed == pytest.approx(2_500_000, rel=0.01)
    assert fails == (found.interval.low > found.allowed)


def test_the_two_take_turns(tmp_path: Path) -> None:
    calls: list[str] = []
    pair = gate_example.pair(tmp_path, worker=gate_example.worker(tmp_path, calls=calls))
    memory.judge(pair, memory.MemoryConfig(pairs=6), 0)
    assert calls[:4] == ["memory baseline", "memory run", "memory run", "memory baseline"]
    assert len(calls) == 12


def test_what_is_not_told_is_not_measured(tmp_path: Path) -> None:
    worker = gate_example.worker(tmp_path, peak=lambda: None)
    pair = gate_example.pair(tmp_path, worker=worker)
    for one, reason in (
        (pair, "does not tell a process's peak"),
        (pair._replace(emulated="qemu"), "emulated (qemu)"),
    ):
        found = gate_example.only(memory.judge(one, memory.MemoryConfig(), 0))
        assert found.got is None and reason in found.text
