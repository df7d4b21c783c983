"""Models that mean harm: each is refused or fails in its own process, in one line; we live on."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

from edgekd import admission
from edgekd.bench.build import build_engine
from edgekd.bench.engine import Engine
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.bench.session import Rules
from edgekd.bench.session import Subject
from edgekd.bench.session import worker_spec
from edgekd.cli.bench import command
from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.errors import MachineError
from tests import bench_example

RUNTIMES = ("onnxruntime", "openvino")
MUTATIONS, MANY_MUTATIONS = 60, 400
HUGE = 2**40
QUICK = Rules(timeout_s=60)


def info(name: str, shape: list[Any] | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def model(
    nodes: list[onnx.NodeProto],
    initializers: list[onnx.TensorProto] | None = None,
    shape: list[Any] | None = None,
    functions: list[onnx.FunctionProto] | None = None,
) -> onnx.ModelProto:
    shape = ["N", 4] if shape is None else shape
    graph = helper.make_graph(nodes, "g", [info("x", shape)], [info("y", None)], initializers or [])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=functions or [])


def external(location: str) -> Callable[[Path], onnx.ModelProto]:
    def make(folder: Path) -> onnx.ModelProto:
        for name in ("w.bin", "../w.bin"):
            (folder / name).write_bytes(b"\0" * 16)
        (folder / "link.bin").symlink_to("/etc/passwd")
        os.link(folder / "w.bin", folder / "hard.bin")
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        return model([helper.make_node("Add", ["x", "w"], ["y"])], [tensor])

    return make


def huge_weight(folder: Path) -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    weight.dims[:] = [HUGE]
    return model([helper.make_node("Add", ["x", "w"], ["y"])], [weight])


def huge_constant(folder: Path) -> onnx.ModelProto:
    shape = numpy_helper.from_array(np.array([HUGE], np.int64), "s")
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["c"]),
        helper.make_node("Add", ["x", "c"], ["y"]),
    ]
    return model(nodes, [shape])


def cyclic(folder: Path) -> onnx.ModelProto:
    return model(
        [
            helper.make_node("Add", ["x", "b"], ["a"]),
            helper.make_node("Add", ["a", "x"], ["b"]),
            helper.make_node("Relu", ["b"], ["y"]),
        ]
    )


def recursive_function(folder: Path) -> onnx.ModelProto:
    body = [helper.make_node("F", ["a"], ["b"], domain="mine")]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)]
    function = helper.make_function("mine", "F", ["a"], ["b"], body, opsets)
    return model([helper.make_node("F", ["x"], ["y"], domain="mine")], functions=[function])


def nested(folder: Path) -> onnx.ModelProto:
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["o"])], "i", [], [info("o", None)])
    for _ in range(15):
        node = helper.make_node("If", ["c"], ["o"], then_branch=graph)
        graph = helper.make_graph([node], "i", [], [info("o", None)])
    return model([helper.make_node("If", ["x"], ["y"], then_branch=graph)])


def carrier(folder: Path) -> onnx.ModelProto:
    node = helper.make_node(
        "EPContext", ["x"], ["y"], domain="com.microsoft", ep_cache_context="../../evil.bin"
    )
    return model([node])


def custom(folder: Path) -> onnx.ModelProto:
    return model([helper.make_node("PyOp", ["x"], ["y"], domain="ai.onnx.contrib")])


HOSTILE: dict[str, tuple[Callable[[Path], onnx.ModelProto], str]] = {
    "free sizes": (
        lambda folder: model([helper.make_node("Relu", ["x"], ["y"])], shape=["N", "M"]),
        "want only the batch free",
    ),
    "2^40 inputs": (
        lambda folder: model([helper.make_node("Relu", ["x"], ["y"])], shape=["N", HUGE]),
        "",
    ),
    "2^40 weights": (huge_weight, "got a weight of"),
    "2^40 constant": (huge_constant, ""),
    "custom operator": (custom, "got operators of ['ai.onnx.contrib']"),
    "another engine's program": (carrier, "got EPContext"),
    "absolute path": (external("/etc/passwd"), "weights kept in another file"),
    "path upwards": (external("../w.bin"), "weights kept in another file"),
    "symbolic link": (external("link.bin"), "weights kept in another file"),
    "hard link": (external("hard.bin"), "weights kept in another file"),
    "address in memory": (external("*/_ORT_MEM_ADDR_/*"), "weights kept in another file"),
    "cycle": (cyclic, "want a graph without a cycle"),
    "function that calls itself": (recursive_function, ""),
    "deep nesting": (nested, "nested beyond reason"),
}
"""Name to what makes the model, and what the refusal must say where we refuse it ourselves."""


def verdict(path: Path, runtime: str, scratch: Path) -> EdgekdError | None:
    """How the path of `edgekd bench` to the first inference ends; None if the model runs."""
    scratch.mkdir(parents=True)
    try:
        told = build_engine(path, runtime, "fp32", scratch, timeout_s=60)
        engine = Engine(runtime, "fp32", 1, {name: scratch / name for name in told["files"]})
        spec, reads = worker_spec(Subject("m", engine), QUICK)
        run_worker("memory", {**spec, "steady": {"min_ns": 0}}, timeout_s=60, reads=reads)
    except EdgekdError as error:
        assert isinstance(error, InputError | MachineError), error
        assert error.exit_code in (2, 3)
        assert "\n" not in error.line() and error.line().isprintable()
        return error
    return None


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_models_are_refused_in_one_line(name: str, runtime: str, tmp_path: Path) -> None:
    make, says = HOSTILE[name]
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "m.onnx"
    path.write_bytes(make(tmp_path / "models").SerializeToString())
    error = verdict(path, runtime, tmp_path / "scratch")
    if name == "function that calls itself" and error is None:
        pytest.fail("a function that calls itself cannot run")
    assert error is not None
    assert says in error.line()
    if says:
        assert error.exit_code == 2


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("segfault", "was killed by SIGSEGV"),
        ("abort", "was killed by SIGABRT"),
        ("hang", "did not end within 3 s and was killed"),
        ("exit", "ended without a result"),
        ("fork", ""),
        ("hoard", "out of memory"),
        ("chatter", ""),
    ],
)
@pytest.mark.parametrize("fault_at", ["load", "run"])
def test_hostile_engines_fail_alone(fault: str, says: str, fault_at: str, tmp_path: Path) -> None:
    engine = bench_example.null_engine(tmp_path, fault=fault, fault_at=fault_at)
    spec = bench_example.latency_spec(engine, steady={"min_ns": 0})
    timeout_s = 3 if "3 s" in says else 100
    try:
        run_worker("memory", spec, timeout_s=timeout_s, reads=engine.files)
    except WorkerFailed as error:
        assert says and says in error.line()
    else:
        assert not says  # it only talked, or left a child behind
    assert not left_alive()


def test_an_engine_that_prints_a_gigabyte(tmp_path: Path) -> None:
    engine = bench_example.null_engine(tmp_path, fault="flood", fault_at="load")
    told = run_worker(
        "memory", bench_example.latency_spec(engine), timeout_s=200, reads=engine.files
    )
    assert told["peak_rss_bytes"] > 0


def left_alive() -> list[psutil.Process]:
    """Workers that outlived their run; a killed one may take a moment to go."""
    for _ in range(50):
        alive = [p for p in psutil.Process().children(recursive=True) if is_worker(p)]
        if not alive:
            return []
        time.sleep(0.1)
    return alive


def is_worker(process: psutil.Process) -> bool:
    try:
        return "edgekd.bench.worker" in process.cmdline()
    except psutil.Error:
        return False


def mutated(data: bytes, seed: int) -> bytes:
    """One to four changes: a byte set, a piece cut out or said twice, bytes put on the end."""
    draw, changed = random.Random(seed), bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(changed))
        size = draw.choice((1, 2, 8, 64))
        kind = draw.randrange(5)
        if kind < 2:
            changed[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
        elif kind == 2:
            del changed[at : at + size]
        elif kind == 3:
            changed[at:at] = changed[at : at + size]
        else:
            changed += draw.randbytes(size)
    return bytes(changed)


def fates(count: int, runtime: str, tmp_path: Path) -> dict[str, int]:
    seed_data = bench_example.write_onnx(tmp_path / "net.onnx").read_bytes()

    def fate(number: int) -> str:
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(mutated(seed_data, number))
        error = verdict(path, runtime, tmp_path / f"scratch-{number}")
        if error is None:
            return "runs"
        return "refused" if isinstance(error, InputError) else "crashed"

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(fate, range(count)))
    assert not left_alive()
    return {name: found.count(name) for name in set(found)}


def test_every_mutation_is_classified(tmp_path: Path) -> None:
    found = fates(MUTATIONS, "onnxruntime", tmp_path)
    assert sum(found.values()) == MUTATIONS and found["refused"] > MUTATIONS / 4


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_many_mutations_are_classified(runtime: str, tmp_path: Path) -> None:
    found = fates(MANY_MUTATIONS, runtime, tmp_path)
    print(runtime, found)
    assert sum(found.values()) == MANY_MUTATIONS


SEEDS = {
    name: make
    for name, (make, says) in HOSTILE.items()
    if "weights kept" in says or "operators of" in says or "EPContext" in says
}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(SEEDS)), st.integers(0, 2**32))
def test_what_protobuf_sees_admission_sees(
    tmp_path_factory: pytest.TempPathFactory, name: str, seed: int
) -> None:
    """Whatever of a changed file the real parser still takes for a model is held to the same rules."""
    folder = tmp_path_factory.mktemp("m")
    (folder / "in").mkdir()
    path = folder / "in" / "m.onnx"
    path.write_bytes(mutated(SEEDS[name](folder / "in").SerializeToString(), seed))
    try:
        seen = onnx.ModelProto.FromString(path.read_bytes())
    except Exception:  # protobuf's own
        return
    if harmful(seen):
        with pytest.raises(ValueError, match="m.onnx: got"):
            admission.admit(path)


def harmful(seen: onnx.ModelProto) -> bool:
    """Asked of the onnx package's view of the file."""
    nodes = list(seen.graph.node)
    made = {(function.domain, function.name) for function in seen.functions}
    called = {(node.domain, node.op_type) for node in nodes}
    known = {domain.decode() for domain in admission.DOMAINS} | {"ai.onnx"}
    unknown = {domain for domain, _ in called - made} - known
    outside = any(t.external_data or t.data_location for t in seen.graph.initializer)
    carries = "EPContext" in {name for _, name in called}
    return bool(unknown) or outside or carries


@pytest.mark.parametrize(
    ("name", "code"), [("2^40 weights", 2), ("custom operator", 2), ("free sizes", 2)]
)
def test_the_command_line_says_it_in_one_line(name: str, code: int, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(HOSTILE[name][0](tmp_path).SerializeToString())
    little = ["--runtime", "onnxruntime", "--processes", "1"]
    with pytest.raises(EdgekdError) as caught:
        command.main([str(path), *little], standalone_mode=False)
    assert caught.value.exit_code == code and "m" in caught.value.line()
