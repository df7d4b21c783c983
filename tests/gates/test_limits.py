from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from edgekd.errors import MachineError
from edgekd.gates import limits
from tests import gate_example

HERE, ELSEWHERE = "f" * 64, "0" * 64


def test_only_what_is_named_counts(tmp_path: Path) -> None:
    assert limits.judge(gate_example.pair(tmp_path), limits.LimitsConfig(), 0) == ()


@pytest.mark.parametrize(
    ("limit", "value", "verdict"),
    [
        ("size_bytes", 10**6, "pass"),
        ("size_bytes", 10, "fail"),
        ("score", 0.9, "pass"),
        ("score", 0.9001, "fail"),
        ("peak_rss_bytes", 60_000_000, "pass"),
        ("peak_rss_bytes", 40_000_000, "fail"),
        ("latency_p50_ms", 1.1, "pass"),
        ("latency_p50_ms", 0.9, "fail"),
        ("latency_p50_ms", 1.0, "inconclusive"),
    ],
)
def test_each_limit(tmp_path: Path, limit: str, value: float, verdict: str) -> None:
    config = limits.LimitsConfig(**{limit: value, "fingerprint": HERE})
    found = gate_example.only(limits.judge(gate_example.pair(tmp_path), config, 0))
    assert (found.gate, found.verdict) == (f"limits.{limit}", verdict)


def test_what_cannot_be_measured_says_why(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path, samples="they are gone", emulated="qemu")
    config = limits.LimitsConfig(
        score=0.5, peak_rss_bytes=10**9, latency_p50_ms=9.0, fingerprint=HERE
    )
    found = limits.judge(pair, config, 0)
    assert [one.verdict for one in found] == ["inconclusive"] * 3


def test_milliseconds_belong_to_a_machine() -> None:
    with pytest.raises(ValidationError, match="want the fingerprint of its machine"):
        limits.LimitsConfig(latency_p50_ms=1.0)
    config = limits.LimitsConfig(latency_p50_ms=1.0, fingerprint=ELSEWHERE)
    limits.require_same_machine(limits.LimitsConfig(latency_p50_ms=1.0, fingerprint=HERE), HERE)
    limits.require_same_machine(limits.LimitsConfig(size_bytes=1), HERE)
    with pytest.raises(MachineError, match="got the machine ffffffffffff, want 000000000000"):
        limits.require_same_machine(config, HERE)
