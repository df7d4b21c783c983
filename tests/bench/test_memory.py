from __future__ import annotations

from pathlib import Path

import pytest

from edgekd.bench import memory
from edgekd.bench.process import run_worker
from tests import bench_example

MIB = 2**20


def test_parse_status() -> None:
    text = "Name:\tx\nVmHWM:\t   1024 kB\nRssAnon:\t 12 kB\nThreads:\t3\n"
    assert memory.parse_status(text) == {"VmHWM": MIB, "RssAnon": 12 * 1024}


def test_now_is_about_this_process() -> None:
    before = memory.now()
    kept = b"\1" * (32 * MIB)
    after = memory.now()
    assert after["VmRSS"] - before["VmRSS"] == pytest.approx(len(kept), abs=2 * MIB)
    assert after["VmHWM"] >= after["VmRSS"]


@pytest.mark.parametrize("touched", [8 * MIB, 64 * MIB])
def test_a_worker_reports_its_own_bytes_not_its_parents(tmp_path: Path, touched: int) -> None:
    parent = bytearray(400 * MIB)
    parent[::4096] = b"\1" * len(parent[::4096])
    peaks = []
    for size in (0, touched):
        engine = bench_example.null_engine(tmp_path / str(size), touch_bytes=size)
        told = run_worker("memory", bench_example.latency_spec(engine), timeout_s=60)
        peaks.append(told["peak_rss_bytes"])
        marks = told["marks_bytes"]
        assert marks["load"] - marks["baseline"] == pytest.approx(size, abs=2 * MIB)
    assert peaks[1] - peaks[0] == pytest.approx(touched, abs=max(MIB, 0.02 * touched))
    assert peaks[1] < 200 * MIB < len(parent)
