from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd.bench import jobs
from edgekd.bench.build import build_engine
from edgekd.bench.process import run_worker
from tests import bench_example
from tests import foreign_example


def test_cold_start_phases_are_what_the_model_sleeps(tmp_path: Path) -> None:
    says = {"load_ms": 50, "first_ms": 200, "run_ms": 20}
    engine = bench_example.null_engine(tmp_path, **says)
    cold = [
        run_worker("latency", bench_example.latency_spec(engine), reads=engine.files, timeout_s=60)[
            "cold_ms"
        ]
        for _ in range(3)
    ]
    # the least of three: a busy machine only adds
    least = {name: min(c[name] for c in cold) for name in cold[0]}
    for name, want in (("load_ms", 50), ("first_infer_ms", 200), ("second_infer_ms", 20)):
        assert want <= least[name] <= want + 100, name
    for c in cold:
        parts = ("spawn_ms", "import_ms", "load_ms", "first_infer_ms")
        assert c["tti_ms"] == pytest.approx(sum(c[name] for name in parts))
    assert 5 < least["spawn_ms"] < 1000


def test_iterations_are_raw_and_warm_up_is_apart(tmp_path: Path) -> None:
    engine = bench_example.null_engine(tmp_path, run_ms=2)
    told = run_worker(
        "latency", bench_example.latency_spec(engine), reads=engine.files, timeout_s=60
    )
    assert len(told["iters_ns"]) == 30 and min(told["iters_ns"]) >= 2_000_000
    assert told["warmup_iters"] >= 15
    assert {"majflt", "nivcsw", "cpu_s"} <= set(told)


def test_given_rows_are_fed(tmp_path: Path) -> None:
    engine = bench_example.null_engine(tmp_path, features=3)
    np.save(tmp_path / "x.npy", np.zeros((5, 3), np.float32))
    spec = bench_example.latency_spec(engine, inputs="in/x.npy", batch=2)
    reads = {**engine.files, "x.npy": tmp_path / "x.npy"}
    assert run_worker("latency", spec, reads=reads, timeout_s=60)["iters_ns"]


def test_compile_says_why_not(tmp_path: Path) -> None:
    model = tmp_path / "in.json"
    model.write_text("{}")
    goal = tmp_path / "goal"
    goal.mkdir()
    told = build_engine(model, "null", "bf16", goal, timeout_s=60)
    assert told["not_measured"] == "null offers fp32, int8 on this machine"
    assert not list(goal.iterdir())
    told = build_engine(model, "null", "fp32", goal, kernels=True, timeout_s=60)
    assert told["files"] == {"model.json": "model.json"}
    assert (goal / "model.json").read_text() == "{}"
    assert told["kernels"] == {"Sleep f32": 1}


def test_the_engine_is_timed_bound_and_the_caller_with_arrays_of_its_own(tmp_path: Path) -> None:
    class Session:
        inputs = ()

        def run(self, feeds: Any) -> list[Any]:
            return [np.full(1, "run")]

        def bind(self, feeds: Any) -> Any:
            return lambda: [Reads()]

    read = []

    class Reads:
        size = 1

        def item(self, index: int) -> None:
            read.append(index)

    step = jobs.make_step(Session(), [{}, {}])
    assert not read
    step(0)
    step(1)
    assert read == [0, 0]
    jobs.make_caller(Session(), [{}])(5)
    assert len(read) == 2
    engine = bench_example.null_engine(tmp_path, run_ms=2)
    told = run_worker(
        "latency", bench_example.latency_spec(engine), reads=engine.files, timeout_s=60
    )
    assert told["caller_ns"] >= 2_000_000


@pytest.mark.parametrize(
    ("write", "precision", "says"),
    [
        (bench_example.write_onnx, "int8", "its graph computes in float"),
        (foreign_example.quantized, "fp32", "its graph is quantized"),
    ],
)
def test_an_engine_is_not_made_under_a_label_that_is_not_true(
    tmp_path: Path, write: Any, precision: str, says: str
) -> None:
    for runtime in ("onnxruntime", "openvino"):
        goal = tmp_path / runtime
        goal.mkdir()
        told = build_engine(write(tmp_path / "net.onnx"), runtime, precision, goal, timeout_s=60)
        assert told["not_measured"] == says and "files" not in told


def test_what_is_timed_starts_without_what_only_other_jobs_need() -> None:
    code = "import sys; import edgekd.bench.jobs, edgekd.bench.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    extra = {"importlib.metadata", "email.message", "zipfile", "edgekd.files", "numpy"}
    before = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not (set(done.stdout.split()) - set(before.stdout.split())) & extra
