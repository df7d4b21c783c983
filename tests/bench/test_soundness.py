from __future__ import annotations

import math
from typing import Any

import pytest

from edgekd.bench import soundness
from edgekd.bench.process import WorkerFailed
from edgekd.bench.timing import COLD

LATENCY = {"iters_ns": [5, 6.5], "steady": True, "cold_ms": dict.fromkeys(COLD, 1.0)}


def test_what_workers_write_is_sound() -> None:
    more = {"repeated_ns": 3, "affinity": [0], "inputs_sha256": "ab", "majflt": 0, "new": {}}
    soundness.want("latency", {**LATENCY, **more}, "a")
    soundness.want("memory", {"peak_rss_bytes": None, "marks_bytes": {"load": None}}, "a")
    soundness.want("throughput", {"points": [[1, 5.0, 0.2]]}, "a")
    soundness.want("energy", {"reason": "no readable counter"}, "a")


@pytest.mark.parametrize(
    "bad",
    [
        {"iters_ns": []},
        {"iters_ns": [0]},
        {"iters_ns": [math.nan]},
        {"iters_ns": [math.inf]},
        {"iters_ns": "5"},
        {"iters_ns": [True]},
        {"iters_ns": [[5]]},
        {"steady": 1},
        {"cold_ms": {"other": 1}},
        {"cold_ms": {"load_ms": "\x1b[2J"}},
        {"cold_ms": [1]},
        {"affinity": ["0"]},
        {"inputs_sha256": "x" * 201},
        {"repeated_ns": -1},
        {"cpu_s": 1e400},
        {"held_bytes": 3},
    ],
)
def test_what_is_none_is_a_failed_worker(bad: dict[str, Any]) -> None:
    with pytest.raises(WorkerFailed, match=f"a: the worker gave {next(iter(bad))} that is none"):
        soundness.want("latency", {**LATENCY, **bad}, "a")


@pytest.mark.parametrize("job", list(soundness.REQUIRED))
def test_what_is_missing_is_named(job: str) -> None:
    with pytest.raises(WorkerFailed, match="lacks"):
        soundness.want(job, {}, "a")


def test_a_long_value_is_cut_short() -> None:
    with pytest.raises(WorkerFailed) as caught:
        soundness.want("latency", {**LATENCY, "iters_ns": "x" * 10**6}, "a")
    assert len(str(caught.value)) < 200
