from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd.bench import jobs
from edgekd.bench import outputs as module
from edgekd.bench.engine import Engine
from edgekd.bench.outputs import outputs
from edgekd.bench.outputs import read_answers
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.errors import InputError
from edgekd.preprocessing import Preprocessing
from edgekd.runtime import Tensor
from tests import bench_example


@pytest.fixture
def images(tmp_path: Path) -> Path:
    path = tmp_path / "images.npy"
    shape = (7, bench_example.SIDE, bench_example.SIDE, bench_example.CHANNELS)
    np.save(path, np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8))
    return path


def test_rows_come_back_in_order_whatever_the_batch(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(11, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", rows)
    engine = bench_example.null_engine(tmp_path)
    for size in (1, 4, 11, 256):
        got = outputs(engine, tmp_path / "x.npy", preprocessing=None, batch_size=size)
        np.testing.assert_array_equal(got, rows)


def test_batches_are_alike_so_that_hardly_a_row_is_filled_up(tmp_path: Path) -> None:
    """A model compiled for its batch is asked for whole batches: of 11 rows by 10 at most, 6 and 5."""
    asked: list[int | None] = []
    rows = np.zeros((11, 4), np.float32)
    np.save(tmp_path / "x.npy", rows)

    class Session:
        inputs = (Tensor("x", "float32", (6, 4)),)

        def run(self, feeds: Any) -> list[Any]:
            return [feeds["x"]]

    def load(spec: Any, say: Any) -> Any:
        asked.append(spec["batch"])
        return Session()

    spec = {
        "inputs": tmp_path / "x.npy",
        "goal": tmp_path / "y.npy",
        "preprocessing": None,
        "rows": [0, None],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "load", load)
        told = jobs.outputs({**spec, "batch": 10}, lambda phase: None, 0)
        jobs.outputs({**spec, "batch": 256}, lambda phase: None, 0)
    assert told["shape"] == [11, 4] and asked == [6, 11]


@pytest.mark.parametrize("batch", ["N", 3])
def test_images_are_prepared_and_answers_are_numpys(
    tmp_path: Path, images: Path, batch: int | str
) -> None:
    model = bench_example.write_onnx(tmp_path / "blob-without-suffix", batch)
    engine = Engine("onnxruntime", "fp32", 1, {"model.onnx": model})
    preprocessing = Preprocessing(
        height=8, width=8, channels=3, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25)
    )
    got = outputs(engine, images, preprocessing=preprocessing, batch_size=4)
    pixels = np.load(images) / 255
    x = ((pixels - [0.4, 0.5, 0.6]) / [0.2, 0.3, 0.25]).transpose(0, 3, 1, 2)
    assert got.dtype == np.float32 and got.shape == (7, bench_example.CLASSES)
    np.testing.assert_allclose(got, bench_example.answers(x), atol=1e-5)


def test_rows_of_another_shape_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3, 5), np.float32))
    engine = bench_example.null_engine(tmp_path)
    with pytest.raises(InputError, match=r"got float32 \[1, 5\], want float32 \['N', 4\]"):
        outputs(engine, tmp_path / "x.npy", preprocessing=None)


def test_a_file_of_pickles_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="Python objects"):
        outputs(bench_example.null_engine(tmp_path), tmp_path / "x.npy", preprocessing=None)


def test_a_crash_is_told(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3, 4), np.float32))
    engine = bench_example.null_engine(tmp_path, fault="abort")
    with pytest.raises(WorkerFailed, match="SIGABRT during inference"):
        outputs(engine, tmp_path / "x.npy", preprocessing=None)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((3, 2), np.float64), "got answers float64"),
        (np.zeros((2, 2), np.float32), r"got answers float32 \[2, 2\], want float32 for 3 rows"),
        (np.zeros((), np.float32), r"got answers float32 \[\]"),
        (np.array([{}] * 3, dtype=object), "got no readable answers"),
    ],
)
def test_answers_are_float32_rows(array: np.ndarray, says: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(WorkerFailed, match=f"ort: {says}"):
        read_answers(tmp_path / "a.npy", "ort", rows=3)


def test_answers_that_are_no_file_or_cut_short(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 2), np.float32))
    data = (tmp_path / "a.npy").read_bytes()
    read_answers(tmp_path / "a.npy", "ort", rows=3)
    for bad in (data[:-1], data[:20], b"", data.replace(b"(3, 2)", b"(3, 9)")):
        (tmp_path / "a.npy").write_bytes(bad)
        with pytest.raises(WorkerFailed, match="got no readable answers"):
            read_answers(tmp_path / "a.npy", "ort", rows=3)
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(WorkerFailed, match="got no readable answers"):
            read_answers(path, "ort", rows=3)


def test_golden_samples_asked_one_by_one_are_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.zeros((64, 4), np.float32)
    np.save(tmp_path / "x.npy", rows)
    asked: list[tuple[Any, Any]] = []

    def worker(job: str, spec: Any, **more: Any) -> Any:
        asked.append((spec["rows"], spec["batch"]))
        return run_worker(job, spec, **more)

    monkeypatch.setattr(module, "run_worker", worker)
    engine = bench_example.null_engine(tmp_path)
    outputs(engine, tmp_path / "x.npy", preprocessing=None, batch_size=1)
    assert asked == [([0, 64], 1)]


def test_a_large_set_is_answered_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """50,000 rows once ended every candidate: one worker, one timeout."""
    rows = np.random.default_rng(0).normal(size=(23, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", rows)
    asked = []

    def worker(job: str, spec: Any, **more: Any) -> Any:
        asked.append((spec["rows"], more["timeout_s"]))
        return run_worker(job, spec, **more)

    monkeypatch.setattr(module, "run_worker", worker)
    monkeypatch.setattr(module, "FIRST_ROWS", 3)
    monkeypatch.setattr(module, "PIECE_S", 0.0)
    monkeypatch.setattr(module, "SLACK", 0.0)
    engine = bench_example.null_engine(tmp_path)
    got = outputs(engine, tmp_path / "x.npy", preprocessing=None, batch_size=2, timeout_s=77)
    np.testing.assert_array_equal(got, rows)
    assert [row for row, _ in asked] == [[0, 8], [8, 16], [16, 23]]
    assert [limit for _, limit in asked] == [77, 60, 60]


def test_a_piece_is_as_long_as_what_came_before_allows() -> None:
    assert module.next_piece(0, 100, None, 8, 300) == (0, 8, 300)
    assert module.next_piece(0, 5, None, 8, 300) == (0, 5, 300)
    # 8 rows in 4 s: 120 in a minute, given up after ten
    assert module.next_piece(8, 50_000, 4.0, 8, 300) == (8, 128, 600)
    # rows of a minute each: the first piece's number again, and time in proportion
    assert module.next_piece(8, 50_000, 480.0, 8, 300) == (8, 16, 4800)
    # what is left takes a second: still a minute, which an engine may need to start
    assert module.next_piece(8, 10, 4.0, 8, 300) == (8, 10, 60)
    assert module.next_piece(10, 10, 4.0, 8, 300) is None


def test_large_samples_are_asked_fewer_at_once() -> None:
    shapes = ((8, 8, 1), (96, 96, 3), (224, 224, 3), (4096, 4096, 3), ())
    assert [module.batch_rows(shape) for shape in shapes] == [256, 75, 13, 1, 256]
