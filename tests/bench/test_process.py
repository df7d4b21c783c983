from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekd.bench import process
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.device import Device
from edgekd.device import WorkerExit
from edgekd.device import WorkerJob
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


ENVELOPE = {"result": {"shapes": {"y": [1]}}, "modules": ["numpy"], "affinity": [0]}


def answering(lines: Callable[[str], list[bytes]], code: int = 0) -> Device:
    """A device whose worker writes `lines`, given the order's token."""

    def run(order: WorkerJob) -> WorkerExit:
        stdout = b"\n".join(lines(order.spec["token"]))
        return WorkerExit(code, stdout, b"", False, False)

    return Device("board", run)


def envelope(**changed: object) -> Callable[[str], list[bytes]]:
    return lambda token: [json.dumps({**ENVELOPE, "token": token, **changed}).encode()]


def test_an_answer_of_the_known_form_is_taken() -> None:
    told = run_worker("outputs", {}, timeout_s=1, device=answering(envelope()))
    assert told == {"shapes": {"y": [1]}, "modules": ["numpy"], "affinity": [0]}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"result": None}, "got None"),
        ({"result": {"shapes": {"y": [float("nan")]}}}, "'shapes' {'y': \\[nan\\]}"),
        ({"result": {"shapes": {"y": [1]}, "other": 1}}, "'other' 1"),
        ({"modules": "numpy"}, "modules 'numpy'"),
        ({"affinity": [None]}, "affinity"),
        ({"token": "x"}, "ended without a result"),
        ({"fault": "other"}, "outputs: None"),
        ({"fault": "input", "message": ["a", "b"]}, "outputs: \\['a', 'b'\\]"),
        ({"fault": "machine", "message": "x" * 10**6}, "outputs: x{2000}$"),
    ],
)
def test_an_answer_of_another_form_is_one_line(changed: dict[str, object], says: str) -> None:
    with pytest.raises((WorkerFailed, InputError), match=says):
        run_worker("outputs", {}, timeout_s=1, device=answering(envelope(**changed)))


def test_no_field_of_the_envelope_may_be_missing() -> None:
    for name in ENVELOPE:
        rest = {key: value for key, value in ENVELOPE.items() if key != name}
        lines = lambda token, rest=rest: [json.dumps({**rest, "token": token}).encode()]  # noqa: E731
        with pytest.raises(WorkerFailed, match="the worker's answer: got"):
            run_worker("outputs", {}, timeout_s=1, device=answering(lines))


@pytest.mark.parametrize(
    "line", [b"[" * 200_000, b'{"a":' * 200_000, b"9" * 10_000, b"\xff\xfe", b"null", b"{}"]
)
def test_lines_that_are_no_answer(line: bytes) -> None:
    with pytest.raises(WorkerFailed, match="ended without a result"):
        run_worker("outputs", {}, timeout_s=1, device=answering(lambda token: [line]))


def test_a_phase_is_cut_short() -> None:
    said = json.dumps({"phase": "x" * 10**6}).encode()
    with pytest.raises(WorkerFailed, match="exit code 3 during x{80}$"):
        run_worker("outputs", {}, timeout_s=1, device=answering(lambda token: [said], 3))


def test_a_file_counts_if_it_came(tmp_path: Path) -> None:
    answer = {"files": {"model.onnx": "model.onnx"}, "version": "1"}
    (tmp_path / "goal").mkdir()
    device = answering(envelope(result=answer))
    arguments = {"timeout_s": 1, "device": device, "goal": tmp_path / "goal"}
    with pytest.raises(WorkerFailed, match="did not come"):
        run_worker("compile", {}, **arguments)
    (tmp_path / "secret").write_text("x")
    (tmp_path / "goal" / "model.onnx").symlink_to(tmp_path / "secret")
    with pytest.raises(WorkerFailed, match="did not come"):
        run_worker("compile", {}, **arguments)
    (tmp_path / "goal" / "model.onnx").unlink()
    (tmp_path / "goal" / "model.onnx").write_text("x")
    assert run_worker("compile", {}, **arguments)["files"] == answer["files"]


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
