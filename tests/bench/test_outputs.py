from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import pytest

from edgekd import splits
from edgekd.bench import outputs as module
from edgekd.bench.engine import Engine
from edgekd.bench.outputs import compute_outputs
from edgekd.bench.outputs import read_answers
from edgekd.bench.outputs import write_inputs
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.device import Device
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.field import from_rows
from edgekd.fields.image import Image
from edgekd.fields.tokens import Tokens
from tests import bench_example
from tests import text_example

if TYPE_CHECKING:
    from edgekd.field import Rows


def test_rows_come_back_in_order_whatever_the_batch(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(11, 4)).astype(np.float32)
    path = write_inputs({"x": rows}, tmp_path / "x")
    engine = bench_example.null_engine(tmp_path)
    for size in (1, 4, 11, 256):
        got = compute_outputs(engine, path, batch_size=size)
        assert list(got) == ["y"]
        np.testing.assert_array_equal(got["y"], rows)


@pytest.mark.parametrize("batch", ["N", 3])
def test_images_are_prepared_and_answers_are_numpys(tmp_path: Path, batch: int | str) -> None:
    """Of a split that holds labels, too."""
    shape = (7, bench_example.SIDE, bench_example.SIDE, bench_example.CHANNELS)
    images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    path = write_inputs({"images": images, "labels": np.arange(7)}, tmp_path / "test")
    model = bench_example.write_onnx(tmp_path / "blob-without-suffix", batch)
    engine = Engine("onnxruntime", "fp32", 1, {"model.onnx": model})
    field = Image(height=8, width=8, channels=3, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))
    got = compute_outputs(engine, path, fields={"images": field}, batch_size=4)["y"]
    x = ((images / 255 - [0.4, 0.5, 0.6]) / [0.2, 0.3, 0.25]).transpose(0, 3, 1, 2)
    assert got.dtype == np.float32 and got.shape == (7, bench_example.CLASSES)
    np.testing.assert_allclose(got, bench_example.answers(x), atol=1e-5)


def test_rows_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = write_inputs({"x": np.zeros((3, 5), np.float32)}, tmp_path / "x")
    engine = bench_example.null_engine(tmp_path)
    with pytest.raises(InputError, match=r"got float32 \[3, 5\], want float32 \['N', 4\]"):
        compute_outputs(engine, path)


def test_a_file_of_pickles_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="want a split of a data set"):
        compute_outputs(bench_example.null_engine(tmp_path), tmp_path / "x.npy")


def test_a_crash_is_told(tmp_path: Path) -> None:
    path = write_inputs({"x": np.zeros((3, 4), np.float32)}, tmp_path / "x")
    engine = bench_example.null_engine(tmp_path, fault="abort")
    with pytest.raises(WorkerFailed, match="SIGABRT during inference"):
        compute_outputs(engine, path)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.zeros((3, 2), np.float64), r"got answers y float64 \[3, 2\]"),
        (np.zeros((2, 2), np.float32), r"got answers y float32 \[2, 2\], want float32 for 3 rows"),
        (
            RaggedRows(np.zeros(4, np.float32), np.array([0, 1, 2, 4])),
            "got answers y ragged float32",
        ),
    ],
)
def test_answers_are_float32_rows(rows: Rows, says: str, tmp_path: Path) -> None:
    splits.write(tmp_path / "a", {"y": rows}, np.arange(len(rows)))
    with pytest.raises(WorkerFailed, match=f"ort: {says}"):
        read_answers(tmp_path / "a", "ort", rows=3)


def test_answers_that_are_no_file_or_cut_short(tmp_path: Path) -> None:
    want = np.random.default_rng(0).random((3, 2), np.float32)
    data = write_inputs({"y": want, "z": -want}, tmp_path / "a").read_bytes()
    found = read_answers(tmp_path / "a", "ort", rows=3)
    (tmp_path / "a").write_bytes(bytes(len(data)))  # they are copies, no longer on the file
    np.testing.assert_array_equal(found["y"], want)
    np.testing.assert_array_equal(found["z"], -want)
    np.save(tmp_path / "pickles.npy", np.array([{}] * 3, dtype=object), allow_pickle=True)
    pickled = (tmp_path / "pickles.npy").read_bytes()
    for bad in (data[:-1], data[:20], b"", data.replace(b"[3,2]", b"[3,9]"), pickled):
        (tmp_path / "a").write_bytes(bad)
        with pytest.raises(WorkerFailed, match="got no readable answers"):
            read_answers(tmp_path / "a", "ort", rows=3)
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(WorkerFailed, match="got no readable answers"):
            read_answers(path, "ort", rows=3)


def test_golden_samples_asked_one_by_one_are_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_inputs({"x": np.zeros((64, 4), np.float32)}, tmp_path / "x")
    asked: list[tuple[Any, Any]] = []

    def worker(job: str, spec: Any, **more: Any) -> Any:
        asked.append((spec["rows"], spec["batch"]))
        return run_worker(job, spec, **more)

    monkeypatch.setattr(module, "run_worker", worker)
    engine = bench_example.null_engine(tmp_path)
    compute_outputs(engine, path, batch_size=1)
    assert asked == [([0, 64], 1)]


def test_a_large_set_is_answered_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """50,000 rows once ended every candidate: one worker, one timeout."""
    rows = np.random.default_rng(0).normal(size=(23, 4)).astype(np.float32)
    path = write_inputs({"x": rows}, tmp_path / "x")
    asked = []

    def worker(job: str, spec: Any, **more: Any) -> Any:
        asked.append((spec["rows"], more["timeout_s"]))
        return run_worker(job, spec, **more)

    monkeypatch.setattr(module, "run_worker", worker)
    monkeypatch.setattr(module, "FIRST_ROWS", 3)
    monkeypatch.setattr(module, "PIECE_S", 0.0)
    monkeypatch.setattr(module, "SLACK", 0.0)
    engine = bench_example.null_engine(tmp_path)
    got = compute_outputs(engine, path, batch_size=2, timeout_s=77)
    np.testing.assert_array_equal(got["y"], rows)
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


@pytest.mark.parametrize(
    ("row_s", "is_near", "rows"),
    [
        (None, True, 1024),
        (None, False, 8),  # a slow board has time for these, whatever it is
        (0.001, True, 1024),
        (0.001, False, 1024),
        (0.2, True, 750),  # of 300 s half
        (3.0, False, 50),
        (1000.0, False, 1),
    ],
)
def test_the_first_piece_is_no_more_than_its_time_is_for(
    row_s: float | None, is_near: bool, rows: int
) -> None:
    assert module.first_rows(256, 300.0, row_s, is_near=is_near) == rows


@pytest.mark.parametrize("row_s", [0.001, 0.1, 1.0, 10.0, 30.0])
@pytest.mark.parametrize("start_s", [0.3, 20.0, 60.0])
@pytest.mark.parametrize("is_told", [True, False])
def test_no_piece_of_a_slow_board_is_given_up_and_few_are_asked(
    monkeypatch: pytest.MonkeyPatch, row_s: float, start_s: float, is_told: bool
) -> None:
    """Each piece costs a start and its rows; what is given up ends a candidate."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    board = Device("board", lambda order: pytest.fail("asked"))
    pieces = 0
    for piece in module.divide_rows(
        1500, 256, 300.0, row_s=row_s if is_told else None, device=board
    ):
        pieces += 1
        took_s = start_s + row_s * (piece.stop - piece.start)
        assert took_s <= piece.timeout_s
        now[0] += took_s
    assert pieces <= 12 + 1500 * row_s / module.PIECE_S


def test_large_samples_are_asked_fewer_at_once() -> None:
    shapes = ((8, 8, 1), (96, 96, 3), (224, 224, 3), (4096, 4096, 3), ())
    counts = [module.count_values(np.empty((0, *shape))) for shape in shapes]
    assert counts == [64, 27_648, 150_528, 3 * 2**24, 1]
    assert [module.batch_rows(count) for count in counts] == [256, 75, 13, 1, 256]
    assert module.batch_rows(0) == 256
    answered = [128 * 49_152, 512 * 512 * 21, 10, 2**30]  # a large vocabulary, a map of classes
    assert [module.batch_rows(128, count) for count in answered] == [5, 6, 256, 1]


def test_rows_of_several_lengths_count_as_the_longest() -> None:
    rows = RaggedRows(np.zeros((9, 3)), np.array([0, 2, 7, 9]))
    assert module.count_values(rows) == 15
    assert module.count_values(RaggedRows(np.zeros((0, 3)), np.array([0]))) == 0


def test_inputs_as_they_are_are_asked_in_their_own_shapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine may compile for them, as it is timed; what fields prepare may come in several lengths."""
    calls = []

    def worker(job: str, spec: Any, **more: Any) -> Any:
        calls.append(spec["call"])
        return run_worker(job, spec, **more)

    monkeypatch.setattr(module, "run_worker", worker)
    model = text_example.write_onnx(tmp_path / "m")
    feeds = text_example.inputs(4, 5)
    path = write_inputs(feeds, tmp_path / "inputs.split")
    got = compute_outputs(Engine("onnxruntime", "fp32", 1, {"model.onnx": model}), path)
    assert calls == [{"text": [[None, 5]], "text_mask": [[None, 5]]}]
    for name, want in text_example.answers(feeds).items():
        np.testing.assert_allclose(got[name], want, atol=1e-5)


def test_outputs_as_long_as_their_texts_are_joined_whatever_is_asked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_ROWS", 3)
    monkeypatch.setattr(module, "FIRST_BATCHES", 1)
    monkeypatch.setattr(module, "PIECE_S", 0.0)
    texts = [np.arange(1, 1 + length) for length in (2, 1, 3, 7, 2, 4, 1)]
    splits.write(tmp_path / "rows", {"text": from_rows(texts, texts[0])}, np.arange(len(texts)))
    model = text_example.write_onnx(tmp_path / "m")
    got = compute_outputs(
        Engine("onnxruntime", "fp32", 1, {"model.onnx": model}),
        tmp_path / "rows",
        fields={"text": Tokens(vocabulary=text_example.VOCABULARY, usual=5, longest=9)},
        batch_size=2,
    )
    assert got["states"].shape == (7, 7, text_example.WIDTH)
    for states, text in zip(got["states"], texts, strict=True):
        np.testing.assert_array_equal(states[: len(text)], text_example.weights()["table"][text])


@pytest.mark.parametrize(
    ("row_s", "timeout_s", "pieces"), [(1e-4, 600.0, 1), (None, 600.0, 2), (1e-4, 0.1, 2)]
)
def test_rows_that_surely_take_little_time_are_one_piece(
    row_s: float | None, timeout_s: float, pieces: int
) -> None:
    found = list(module.divide_rows(1438, 256, timeout_s, row_s=row_s))
    assert len(found) >= pieces and (len(found) == 1) is (pieces == 1)
    assert [piece.start for piece in found[1:]] == [piece.stop for piece in found[:-1]]
    assert (found[0].start, found[-1].stop) == (0, 1438)
