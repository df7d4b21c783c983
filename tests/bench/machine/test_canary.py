from __future__ import annotations

import statistics

import pytest

from edgekd.bench.machine import canary
from edgekd.bench.machine import validity
from edgekd.bench.process import run_worker


def test_variation_is_the_spread_over_the_mean() -> None:
    values = [50.0, 52.0, 49.0, 55.0]
    want = statistics.stdev(values) / statistics.mean(values)
    assert canary.compute_variation(values) == pytest.approx(want)


def test_five_percent_is_the_bound() -> None:
    assert not canary.is_drifting([100, 104, 100, 104])
    assert canary.is_drifting([100, 115, 100, 115])


def test_two_looks_say_nothing() -> None:
    assert canary.compute_variation([1.0, 9.0]) is None and not canary.is_drifting([1.0, 9.0])


def test_the_job_gives_a_time_and_a_snapshot() -> None:
    told = run_worker("canary", {}, timeout_s=120)
    # 1.8 million multiply-adds: no machine does them in 2 microseconds or needs a tenth of a second
    assert 2_000 < told["canary_ns"] < 100_000_000
    assert validity.is_well_formed(told["snapshot"])
    assert "torch" not in told["modules"]
