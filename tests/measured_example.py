"""Made-up results of workers, for the tests of what is made of them."""

from __future__ import annotations

from typing import Any

from edgekd.bench.engine import Engine
from edgekd.bench.session import Measurement
from edgekd.bench.session import Subject
from edgekd.bench.timing import COLD

MARKS = {"import": 30, "baseline": 20, "load": 50, "first": 55, "steady": 60}


def measured(processes: int, iterations: int = 30, **more: Any) -> Measurement:
    """The n-th process took n thousandths of a millisecond more than 1 ms; `more` replaces fields."""
    found = Measurement(Subject("a b", Engine("null", "fp32", 1, {})), reached=True)
    found.processes = [
        {
            "iters_ns": [1_000_000 + 1000 * n] * iterations,
            "steady": True,
            "cold_ms": dict.fromkeys(COLD, 10.0),
            "repeated_ns": 1_000_000,
            "subnormal": False,
            "inputs_sha256": "ab" * 32,
            "affinity": [0, 1],
            "cpu_s": 0.002 * iterations,
            "majflt": 0,
            "nivcsw": 0,
        }
        for n in range(processes)
    ]
    found.memory = {
        "peak_rss_bytes": 60,
        "peak_anon_bytes": 40,
        "cgroup_peak_bytes": None,
        "marks_bytes": MARKS,
        "held_bytes": {"RssAnon": 35, "RssFile": 20, "Pss": 33, "VmSwap": 0},
    }
    for name, value in more.items():
        setattr(found, name, value)
    return found
