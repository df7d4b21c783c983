from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgekd.bench import jobs
from edgekd.bench import memory
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from tests import bench_example

MIB = 2**20


def test_parse_status() -> None:
    text = "Name:\tx\nVmHWM:\t   1024 kB\nRssAnon:\t 12 kB\nThreads:\t3\n"
    assert memory.parse_status(text) == {"VmHWM": MIB, "RssAnon": 12 * 1024}


NOW = f"""
from edgekd.bench import jobs
from edgekd.bench import memory
before = memory.read_memory()
kept = b"\\1" * (32 * {MIB})
after = memory.read_memory()
print(after["RssAnon"] - before["RssAnon"], after["VmRSS"] - after["RssAnon"], after["VmHWM"] - after["VmRSS"])
"""


def test_now_is_about_this_process() -> None:
    """In a process of its own: what others of this one's threads and collections give back is not seen there."""
    told = subprocess.run([sys.executable, "-c", NOW], check=True, capture_output=True, text=True)
    grown, mapped, above = map(int, told.stdout.split())
    assert grown == pytest.approx(32 * MIB, abs=2 * MIB)
    assert mapped > 0 and above >= 0


def touched_under(tmp_path: Path, touched: int) -> int:
    """By how much the worker of a model that touches so many bytes says that loading grew its peak."""
    engine = bench_example.null_engine(tmp_path / str(touched), touch_bytes=touched)
    told = run_worker(
        "memory", bench_example.latency_spec(engine), reads=engine.files, timeout_s=120
    )
    assert told["peak_rss_bytes"] < touched + 200 * MIB  # and so not its parent's
    assert told["held_bytes"]["RssAnon"] <= told["peak_anon_bytes"] <= told["peak_rss_bytes"]
    return int(told["marks_bytes"]["load"] - told["marks_bytes"]["baseline"])


@pytest.mark.parametrize("touched", [0, 8 * MIB, 64 * MIB])
def test_a_worker_reports_its_own_bytes_not_its_parents(tmp_path: Path, touched: int) -> None:
    parent = np.ones(400 * MIB, np.uint8)
    assert touched_under(tmp_path, touched) == pytest.approx(touched, abs=max(MIB, 0.02 * touched))
    assert parent.all()


@pytest.mark.slow
@pytest.mark.parametrize("touched", [8 * MIB, 64 * MIB, 512 * MIB])
def test_under_a_parent_of_two_gigabytes(tmp_path: Path, touched: int) -> None:
    parent = np.ones(2048 * MIB, np.uint8)
    assert touched_under(tmp_path, touched) == pytest.approx(touched, abs=max(MIB, 0.02 * touched))
    assert parent.all()


def test_peak_of_a_control_group(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    assert memory.read_cgroup_peak(tmp_path) is None
    (tmp_path / "proc/self/cgroup").write_text("3:cpu:/x\n1:memory:/a/b\n0::/leaf\n")
    assert memory.read_cgroup_peak(tmp_path) is None
    first, second = tmp_path / "sys/fs/cgroup/memory/a/b", tmp_path / "sys/fs/cgroup/leaf"
    for folder, name, size in ((second, "memory.peak", 7), (first, "memory.max_usage_in_bytes", 5)):
        folder.mkdir(parents=True)
        (folder / name).write_text(f"{size}\n")
        assert memory.read_cgroup_peak(tmp_path) == size
    (second / "memory.peak").write_text("max\n")
    (first / "memory.max_usage_in_bytes").unlink()
    assert memory.read_cgroup_peak(tmp_path) is None


def test_what_a_worker_may_allocate(tmp_path: Path) -> None:
    assert memory.compute_memory_limit(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 99 kB\nMemAvailable:   1000 kB\n")
    assert memory.compute_memory_limit(tmp_path) == 900 * 1024


def test_a_worker_cannot_take_all_memory(tmp_path: Path) -> None:
    engine = bench_example.null_engine(tmp_path, fault="hoard", fault_at="load")
    with pytest.raises(WorkerFailed, match="null: out of memory"):
        run_worker("memory", bench_example.latency_spec(engine), reads=engine.files, timeout_s=60)


@pytest.mark.parametrize(
    ("said", "raised"),
    [
        ("Failed to allocate memory for requested buffer of size 9", MemoryError),
        ("std::bad_alloc", MemoryError),
        ("INVALID_ARGUMENT : Non-zero status code while running Add node", ValueError),
    ],
)
def test_too_little_memory_is_no_fault_of_the_inputs(said: str, raised: type[Exception]) -> None:
    with pytest.raises(raised), jobs.blame_feed({"x": np.zeros(3)}):
        raise RuntimeError(said)
