"""A process that runs a large file holds its weights once, also where they are links into a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx import numpy_helper

from edgekd import runtimes
from edgekd.bench.engine import Engine
from edgekd.bench.process import run_worker
from edgekd.runtimes.openvino import mapped_pages

WIDTH, LAYERS = 1024, 6
WEIGHT_BYTES = 4 * WIDTH * WIDTH * LAYERS


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six products of 4 MB."""
    random, names = np.random.default_rng(0), [f"w{n}" for n in range(LAYERS)]
    held = [
        numpy_helper.from_array(
            random.standard_normal((WIDTH, WIDTH), np.float32) / np.float32(32), name
        )
        for name in names
    ]
    values = ["x", *(f"y{n}" for n in range(LAYERS))]
    nodes = [
        helper.make_node("MatMul", [values[n], name], [values[n + 1]])
        for n, name in enumerate(names)
    ]
    ends = [helper.make_tensor_value_info(n, 1, ["n", WIDTH]) for n in (values[0], values[-1])]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], held)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path = tmp_path_factory.mktemp("large") / "m.onnx"
    onnx.save(made, path)
    return path


def build(runtime: str, path: Path, folder: Path) -> Engine:
    folder.mkdir()
    built = runtimes.find_runtime(runtime).build(path, folder, "fp32")
    return Engine(runtime, "fp32", 1, built)


def test_the_peak_of_onnx_runtime(path: Path, tmp_path: Path) -> None:
    engine = build("onnxruntime", path, tmp_path / "a")
    spec = {
        **engine.spec(),
        "batch": 1,
        "seed": 0,
        "call": {"x": [[None, WIDTH]]},
        "steady": {"min_ns": 1, "max_ns": 1},
    }
    told = run_worker("memory", spec, timeout_s=100, reads=engine.files)
    grown = told["peak_rss_bytes"] - told["marks_bytes"]["baseline"]
    assert WEIGHT_BYTES < grown < 1.7 * WEIGHT_BYTES


@pytest.mark.skipif(not mapped_pages.MAPS.exists(), reason="this system does not tell its mappings")
def test_openvino_lets_go_of_what_it_copied(path: Path, tmp_path: Path) -> None:
    engine = build("openvino", path, tmp_path / "a")
    session = runtimes.find_runtime("openvino").load(engine.files, "fp32", 1)
    lines = Path("/proc/self/smaps").read_text().splitlines()
    starts = [at for at, line in enumerate(lines) if line.endswith("/a/model.bin")]
    resident = sum(
        int(line.split()[1])
        for at in starts
        for line in lines[at : at + 25]
        if line.startswith("Rss:")
    )
    assert starts and 1024 * resident < 0.1 * WEIGHT_BYTES
    x = {"x": np.random.default_rng(1).standard_normal((1, WIDTH), np.float32)}
    (want,) = runtimes.find_runtime("onnxruntime").load({"model.onnx": path}, "fp32", 1).run(x)
    np.testing.assert_allclose(session.run(x)[0], want, rtol=1e-3, atol=1e-3)


def test_what_lies_beside_the_graph_answers_as_what_lies_in_it(path: Path, tmp_path: Path) -> None:
    """Under the names that a store gives, each file in a folder of its own."""
    engine = build("onnxruntime", path, tmp_path / "a")
    (weights,) = {*engine.files} - {"model.onnx"}
    store = tmp_path / "store"
    links = {}
    for name, held in engine.files.items():
        place = store / name[:2] / (name if name == weights else "0" * 64)
        place.parent.mkdir(parents=True)
        held.rename(place)
        links[name] = tmp_path / name
        links[name].symlink_to(place)
    runtime = runtimes.find_runtime("onnxruntime")
    x = {"x": np.random.default_rng(1).standard_normal((1, WIDTH), np.float32)}
    (got,), (want,) = (
        runtime.load(files, "fp32", 1).run(x) for files in (links, {"model.onnx": path})
    )
    np.testing.assert_array_equal(got, want)
    assert runtime.kernels(links, "fp32") == runtime.kernels({"model.onnx": path}, "fp32")


def test_pages_of_other_files_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is dropped is what the map names, and only where nobody can have written."""
    monkeypatch.setattr(mapped_pages, "LEAST_BYTES", 1)
    maps, path = tmp_path / "maps", tmp_path / "model.bin"
    path.write_bytes(b"1")
    maps.write_text(
        f"1000-3000 r--s 00000000 fe:00 7   {path}\n"
        f"4000-5000 rw-p 00000000 fe:00 7   {path}\n"
        f"6000-7000 r--s 00000000 fe:00 8   {path}2\n"
        "8000-9000 r--s 00000000 00:00 0\n"
    )
    told: list[tuple[int, int, int]] = []

    def madvise(start: int, size: int, advice: int) -> None:
        told.append((start, size, advice))

    monkeypatch.setattr(mapped_pages, "MAPS", maps)
    monkeypatch.setattr(mapped_pages, "PERIOD_S", 60)
    monkeypatch.setattr(
        mapped_pages.ctypes, "CDLL", lambda name: type("libc", (), {"madvise": madvise})
    )
    with mapped_pages.drop_pages(path):
        pass
    assert told == [(0x1000, 0x2000, 4)]
