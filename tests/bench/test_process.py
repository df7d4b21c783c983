from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekd.bench import process
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.errors import InputError
from tests import bench_example


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("segfault", "was killed by SIGSEGV during first inference"),
        ("abort", "was killed by SIGABRT during first inference"),
        ("exit", "ended without a result during first inference"),
    ],
)
def test_how_a_worker_dies_is_one_line(tmp_path: Path, fault: str, says: str) -> None:
    engine = bench_example.null_engine(tmp_path, fault=fault)
    with pytest.raises(WorkerFailed) as caught:
        run_worker("latency", bench_example.latency_spec(engine), reads=engine.files, timeout_s=30)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_phase_of_a_crash_is_told(tmp_path: Path) -> None:
    engine = bench_example.null_engine(tmp_path, fault="segfault", fault_at="load")
    with pytest.raises(WorkerFailed, match="SIGSEGV during load"):
        run_worker("memory", bench_example.latency_spec(engine), reads=engine.files, timeout_s=30)


def test_a_hang_is_killed(tmp_path: Path) -> None:
    engine = bench_example.null_engine(tmp_path, fault="hang")
    start = time.monotonic()
    with pytest.raises(WorkerFailed, match="did not end within 1.5 s and was killed"):
        run_worker("latency", bench_example.latency_spec(engine), reads=engine.files, timeout_s=1.5)
    assert time.monotonic() - start < 15


def test_a_refusal_is_the_inputs_fault(tmp_path: Path) -> None:
    engine = bench_example.null_engine(tmp_path, fault="refuse", fault_at="load")
    with pytest.raises(InputError, match="null: this model is refused"):
        run_worker("latency", bench_example.latency_spec(engine), reads=engine.files, timeout_s=30)


def test_what_an_engine_prints_cannot_forge_a_result(tmp_path: Path) -> None:
    engine = bench_example.null_engine(tmp_path, fault="chatter")
    told = run_worker(
        "latency", bench_example.latency_spec(engine), reads=engine.files, timeout_s=60
    )
    assert told["iters_ns"]


def test_the_worker_imports_its_engine_and_no_more(tmp_path: Path) -> None:
    engine = bench_example.null_engine(tmp_path)
    for job in ("latency", "memory"):
        modules = run_worker(
            job, bench_example.latency_spec(engine), reads=engine.files, timeout_s=30
        )["modules"]
        assert "numpy" in modules
        assert not {"torch", "onnx", "pydantic", "rich", "click"} & set(modules)


def test_the_environment_is_scrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = [process.worker_environment(2) for _ in range(20)]
    assert all("SECRET_TOKEN" not in e and e["OMP_NUM_THREADS"] == "2" for e in found)
    paddings = {len(e["EDGEKD_PADDING"]) for e in found}
    assert len(paddings) > 10 and max(paddings) < 4096


def test_affinity_is_set(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    engine = bench_example.null_engine(tmp_path)
    told = run_worker(
        "latency",
        bench_example.latency_spec(engine, affinity=[core]),
        reads=engine.files,
        timeout_s=30,
    )
    assert told["affinity"] == [core]


PARENT = """
import sys
from pathlib import Path
from edgekd.bench.process import run_worker
from edgekd.device import Device
from tests import bench_example
engine = bench_example.null_engine(Path(sys.argv[1]), fault="hang")
run_worker("latency", bench_example.latency_spec(engine), reads=engine.files, timeout_s=120)
"""


def test_the_worker_dies_with_its_parent(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], cwd=root)
    try:
        worker = _until(lambda: _child_of(parent.pid))
        time.sleep(1)  # it has asked the kernel to die with its parent by now
        assert worker and _alive(worker)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert _until(lambda: not _alive(worker))


def _child_of(pid: int) -> int | None:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else None


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(found: object, timeout_s: float = 20.0) -> int:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = found()  # type: ignore[operator]
        if value:
            return int(value)
        time.sleep(0.05)
    raise AssertionError("waited in vain")
