from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

from edgekd import splits
from edgekd.bench import scores
from edgekd.bench.engine import Engine
from edgekd.bench.outputs import compute_outputs
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.bench.score_job import name_outputs
from edgekd.bench.score_job import plan_batches
from edgekd.dataset import Dataset
from edgekd.errors import InputError
from edgekd.field import from_rows
from edgekd.fields import find_field
from edgekd.fields.label import Label
from edgekd.fields.masked_tokens import MaskedTokens
from edgekd.fields.tokens import Tokens
from edgekd.runtimes import find_runtime
from edgekd.task import interface_of
from edgekd.task import metric_rows
from edgekd.tasks import BUILT_IN
from edgekd.tasks import load_task
from tests import bench_example
from tests import data_example
from tests import text_example

TASK = load_task("classification")
ENGINES = ["onnxruntime", "openvino"]


def engine(folder: Path, runtime: str, model: Path) -> Engine:
    """The compiled model."""
    found = find_runtime(runtime)
    if found.why_not():
        pytest.skip(f"{runtime} is missing")
    folder.mkdir()
    return Engine(runtime, "fp32", 1, found.build(model, folder, "fp32"))


def images(folder: Path, count: int = 23) -> tuple[Path, Dataset]:
    """Images of the small net of `bench_example`, with labels that it often gets right."""
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    labels = random.integers(0, 10, count)
    splits.write(folder / "split", {"images": pixels, "labels": labels}, np.arange(count))
    return folder / "split", data_example.labelled(
        data_example.image(8, 8, 3), data_example.names(10)
    )


def texts(folder: Path, count: int = 40) -> tuple[Path, Dataset]:
    """Texts of 1 to 9 tokens, shortest not first."""
    random = np.random.default_rng(2)
    lengths = random.integers(1, 10, count)
    rows = [random.integers(0, text_example.VOCABULARY, length) for length in lengths]
    labels = random.integers(0, text_example.CLASSES, count)
    fields = {"text": from_rows(rows, rows[0]), "labels": labels}
    splits.write(folder / "split", fields, np.arange(count))
    data = Dataset(
        task="classification",
        inputs={"text": Tokens(vocabulary=text_example.VOCABULARY, usual=5, longest=9)},
        targets={"labels": Label(names=data_example.names(text_example.CLASSES))},
    )
    return folder / "split", data


def same(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> None:
    """Equal bit for bit; logits themselves, which a batch of another size may round otherwise, nearly so."""
    assert list(one) == list(other)
    for name in one:
        assert one[name].dtype == other[name].dtype == np.float64
        rounded = 1e-6 if name == "AUROC" else 0
        np.testing.assert_allclose(one[name], other[name], rtol=rounded, atol=rounded)


@pytest.mark.parametrize("runtime", ENGINES)
@pytest.mark.parametrize("batch", ["N", 3])
def test_rows_from_the_worker_are_those_of_its_outputs(
    tmp_path: Path, runtime: str, batch: int | str
) -> None:
    made = engine(tmp_path / "e", runtime, bench_example.write_onnx(tmp_path / "m", batch))
    split, data = images(tmp_path)
    found = scores.score_engine(made, split, data, TASK, batch_size=5)
    answered = compute_outputs(made, split, fields=data.inputs, batch_size=5)
    targets = data.prepare_targets(splits.read(split))
    same(found, metric_rows(TASK.metrics, {"logits": answered["y"]}, targets, data))
    assert 0 < TASK.score.value(found["accuracy"]) < 1


@pytest.mark.parametrize("runtime", ENGINES)
@pytest.mark.parametrize("batch", ["batch", 3])
def test_rows_of_several_lengths_do_not_depend_on_their_batch(
    tmp_path: Path, runtime: str, batch: int | str
) -> None:
    """A model of fixed batch gets its last one of each length filled up."""
    fixed = text_example.write_onnx(tmp_path / "fixed", (batch, "tokens"))
    made = engine(tmp_path / "e", runtime, fixed)
    alone = engine(tmp_path / "a", runtime, text_example.write_onnx(tmp_path / "m"))
    split, data = texts(tmp_path)
    rows = splits.read(split)
    one_by_one = []
    session = find_runtime(runtime).load(alone.files, "fp32", 1)
    for number in range(len(rows["labels"])):
        part = {name: each[number : number + 1] for name, each in rows.items()}
        feeds = data.prepare_inputs(part)
        logits = session.run(feeds)[0]
        np.testing.assert_allclose(logits, text_example.answers(feeds)["logits"], atol=1e-5)
        targets = data.prepare_targets(part)
        one_by_one.append(metric_rows(TASK.metrics, {"logits": logits}, targets, data))
    want = {name: np.concatenate([one[name] for one in one_by_one]) for name in one_by_one[0]}
    for size in (1, 4, 256):
        same(scores.score_engine(made, split, data, TASK, batch_size=size), want)


def linear(path: Path, output: str, shape: list[int | str]) -> Path:
    """Images [batch, 3, 8, 8] to `output` [batch, 4], or to as many for each pixel."""
    weights = np.random.default_rng(4).normal(size=(4, 3, 1, 1)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["images", "w"], ["dense" if len(shape) == 2 else output])]
    if len(shape) == 2:
        nodes.append(helper.make_node("ReduceMean", ["dense", "axes"], [output], keepdims=0))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(np.asarray([2, 3]), "axes"),
        ],
    )
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    return path


TARGETS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "classification": ("labels", np.arange(9) % 4, {"names": tuple("abcd")}),
    "multi-label": ("labels", np.eye(9, 4, dtype=np.uint8), {"names": tuple("abcd")}),
    "regression": ("numbers", np.ones((9, 4), np.float32) * np.arange(9)[:, None], {}),
    "segmentation": ("maps", np.ones((9, 8, 8), np.uint8), {"names": tuple("abcd")}),
}


def test_every_task_with_targets_of_its_own_is_tried() -> None:
    of_texts = {
        "token-classification",
        "language-modelling",
        "masked-language-modelling",
        "sentence-embedding",
    }  # other inputs: tests/tasks
    assert set(TARGETS) == set(BUILT_IN) - {"float-agreement"} - of_texts


@pytest.mark.parametrize("runtime", ENGINES)
def test_masked_tokens_are_judged_there_as_here(tmp_path: Path, runtime: str) -> None:
    """Logits of a table by the token that is seen; a text beside others is padded, and padding counts for nothing."""
    random = np.random.default_rng(3)
    table = random.normal(size=(12, 12)).astype(np.float32)
    shape = ["batch", "text_length"]
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["text", "text_mask"], ["tokens"]),
            helper.make_node("Gather", ["table", "tokens"], ["logits"]),
        ],
        "net",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, shape)
            for name in ("text", "text_mask")
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [*shape, 12])],
        [numpy_helper.from_array(table, "table")],
    )
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), tmp_path / "m")
    seen = [random.integers(0, 12, length) for length in random.integers(2, 9, 20)]
    told = [np.where(random.random(len(row)) < 0.4, row[::-1], -100) for row in seen]
    rows = {"text": from_rows(seen, seen[0]), "masked_tokens": from_rows(told, seen[0])}
    splits.write(tmp_path / "split", rows, np.arange(20))
    data = Dataset(
        task="masked-language-modelling",
        inputs={"text": Tokens(vocabulary=12, usual=5, longest=9)},
        targets={"masked_tokens": MaskedTokens(vocabulary=12, mask_token=11)},
    )
    task = load_task(data.task)
    made = engine(tmp_path / "e", runtime, tmp_path / "m")
    found = scores.score_engine(made, tmp_path / "split", data, task, batch_size=6)
    targets = data.prepare_targets(rows)
    logits = table[data.prepare_inputs(rows)["text"]]
    want = metric_rows(task.metrics, {"logits": logits}, targets, data)
    for name, each in found.items():
        np.testing.assert_allclose(each, want[name], rtol=1e-6)
    assert task.score.value(found[task.score.name]) > 3


@pytest.mark.parametrize("name", TARGETS)
def test_every_task_is_judged_there_as_here(tmp_path: Path, name: str) -> None:
    task = load_task(name)
    (output,) = task.outputs
    target, rows, words = TARGETS[name]
    rows = rows.astype(np.float32) if name == "regression" else rows
    images = np.random.default_rng(1).integers(0, 256, (9, 8, 8, 3), dtype=np.uint8)
    splits.write(tmp_path / "split", {"images": images, target: rows}, np.arange(9))
    field = find_field(task.targets[target]).describe(rows, np.arange(9), **words)
    data = Dataset(
        task=name, inputs={"images": data_example.image(8, 8, 3)}, targets={target: field}
    )
    shape = list(interface_of(task, data).outputs[0].shape)
    made = engine(tmp_path / "e", "onnxruntime", linear(tmp_path / "m", output.name, shape))
    found = scores.score_engine(made, tmp_path / "split", data, task, batch_size=4)
    answered = compute_outputs(made, tmp_path / "split", fields=data.inputs, batch_size=4)
    targets = data.prepare_targets(splits.read(tmp_path / "split"))
    same(found, metric_rows(task.metrics, answered, targets, data))


def test_a_task_of_the_users_own_is_judged_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def worker(job: str, spec: Any, **more: Any) -> Any:
        asked.append(job)
        return run_worker(job, spec, **more)

    monkeypatch.setattr("edgekd.bench.outputs.run_worker", worker)
    monkeypatch.setattr(scores, "run_worker", worker)
    made = engine(tmp_path / "e", "onnxruntime", text_example.write_onnx(tmp_path / "m"))
    split, data = texts(tmp_path, 12)
    want = scores.score_engine(made, split, data, TASK)
    assert set(asked) == {"score"}
    own = Dataset(task="python:mine:TASK", inputs=data.inputs, targets=data.targets)
    same(scores.score_engine(made, split, own, TASK), want)
    assert set(asked[1:]) == {"outputs"}


def test_the_worker_imports_numpy_and_its_engine_alone(tmp_path: Path) -> None:
    made = engine(tmp_path / "e", "onnxruntime", text_example.write_onnx(tmp_path / "m"))
    split, data = texts(tmp_path, 3)
    loaded: list[list[str]] = []

    def worker(*given: Any, **more: Any) -> Any:
        told = run_worker(*given, **more)
        loaded.append(told["modules"])
        return told

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "run_worker", worker)
        scores.score_engine(made, split, data, TASK)
    assert {"edgekd", "numpy", "onnxruntime"} <= set(loaded[0])
    assert not {"pydantic", "torch", "scipy", "safetensors", "onnx", "yaml", "click"} & set(
        loaded[0]
    )


def test_a_large_split_is_judged_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine(tmp_path / "e", "onnxruntime", text_example.write_onnx(tmp_path / "m"))
    split, data = texts(tmp_path, 23)
    want = scores.score_engine(made, split, data, TASK)
    asked = []

    def worker(job: str, spec: Any, **more: Any) -> Any:
        asked.append((spec["rows"], more["timeout_s"]))
        return run_worker(job, spec, **more)

    monkeypatch.setattr(scores, "run_worker", worker)
    monkeypatch.setattr("edgekd.bench.outputs.FIRST_ROWS", 3)
    monkeypatch.setattr("edgekd.bench.outputs.PIECE_S", 0.0)
    monkeypatch.setattr("edgekd.bench.outputs.SLACK", 0.0)
    same(scores.score_engine(made, split, data, TASK, batch_size=2, timeout_s=77), want)
    assert asked == [([0, 8], 77), ([8, 16], 60), ([16, 23], 60)]


def test_batches_hold_rows_of_one_length_each_row_once() -> None:
    random = np.random.default_rng(0)
    one = from_rows([np.zeros(n) for n in random.integers(1, 4, 50)], np.zeros(0))
    other = from_rows([np.zeros(n) for n in random.integers(1, 3, 50)], np.zeros(0))
    batches = plan_batches({"a": one, "x": np.zeros((50, 2)), "b": other}, 50, 4)
    assert sorted(np.concatenate(batches).tolist()) == list(range(50))
    for numbers in batches:
        assert 0 < len(numbers) <= 4
        assert len({(one.lengths[n], other.lengths[n]) for n in numbers.tolist()}) == 1
    assert [b.tolist() for b in plan_batches({"x": np.zeros(5)}, 5, 2)] == [[0, 1], [2, 3], [4]]


def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    made = engine(tmp_path / "e", "onnxruntime", text_example.write_onnx(tmp_path / "m"))
    split, data = images(tmp_path)
    with pytest.raises(InputError, match="inputs: got images, want text, text_mask") as caught:
        scores.score_engine(made, split, data, TASK)
    assert "\n" not in str(caught.value)
    other, of_text = texts(tmp_path)
    with pytest.raises(InputError, match="got text, labels, want images|got labels, text"):
        scores.score_engine(made, other, data, TASK)
    nothing = tmp_path / "nothing"
    splits.write(
        nothing, {name: each[:0] for name, each in splits.read(other).items()}, np.arange(0)
    )
    with pytest.raises(InputError, match="nothing: got no samples"):
        scores.score_engine(made, nothing, of_text, TASK)
    renamed = text_example.write_onnx(tmp_path / "renamed", logits="scores")
    odd = engine(tmp_path / "o", "onnxruntime", renamed)
    with pytest.raises(InputError, match="outputs: got scores, states, want logits"):
        scores.score_engine(odd, other, of_text, TASK)


@pytest.mark.parametrize("runtime", ENGINES)
def test_a_length_that_a_model_cannot_take_gives_no_rows(tmp_path: Path, runtime: str) -> None:
    """OpenVINO may end by a signal, or tell nothing and leave the answers before."""
    model = text_example.write_onnx(tmp_path / "m", positions=8)
    made = engine(tmp_path / "e", runtime, model)
    split, data = texts(tmp_path)
    rows = splits.read(split)
    fitting = np.flatnonzero(rows["text"].lengths == 8)  # type: ignore[union-attr]
    splits.write(tmp_path / "eight", rows, fitting)
    assert (
        len(scores.score_engine(made, tmp_path / "eight", data, TASK)["accuracy"])
        == len(fitting)
        > 1
    )
    with pytest.raises((InputError, WorkerFailed)) as caught:
        scores.score_engine(made, split, data, TASK, batch_size=1)
    assert runtime == "openvino" or "which the engine refuses" in str(caught.value)
    assert "\n" not in str(caught.value).strip()


def test_answers_that_are_not_finite_have_no_score(tmp_path: Path) -> None:
    model = text_example.write_onnx(tmp_path / "m", scale=np.inf)
    made = engine(tmp_path / "e", "onnxruntime", model)
    split, data = texts(tmp_path)
    with pytest.raises(InputError, match="logits: got answers that are not finite"):
        scores.score_engine(made, split, data, TASK)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_none_is_found_among_many(tmp_path: Path, wrong: float) -> None:
    wanted = interface_of(TASK, texts(tmp_path)[1]).outputs
    answers = np.random.default_rng(0).normal(size=(5, text_example.CLASSES)).astype(np.float32)
    assert name_outputs({"y": answers}, wanted)["logits"] is answers
    answers[3, 1] = wrong
    with pytest.raises(ValueError, match="not finite"):
        name_outputs({"y": answers}, wanted)


NAMES = ["accuracy", "balanced accuracy"]
GOOD = {name: np.ones((3, 2)) for name in NAMES}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"accuracy": np.ones((3, 2), np.float32)}, "accuracy float32"),
        ({"accuracy": np.ones((2, 2)), "balanced accuracy": np.ones((2, 2))}, r"float64 \[2, 2\]"),
        ({"accuracy": np.ones(3)}, r"float64 \[3\]"),
        ({"accuracy": np.ones((3, 0))}, r"float64 \[3, 0\]"),
        ({"accuracy": np.full((3, 2), np.nan)}, "not finite"),
        ({"other": np.ones((3, 2))}, "got rows of .*other"),
        ({"accuracy": from_rows([np.ones(1)] * 3, np.ones(0))}, "ragged"),
    ],
    ids=[
        "type",
        "count",
        "one axis",
        "no columns",
        "not finite",
        "other metric",
        "ragged",
    ],
)
def test_rows_from_a_strangers_board_are_held_to_their_form(
    tmp_path: Path, changed: dict[str, Any], says: str
) -> None:
    rows = {**GOOD, **changed}
    count = len(rows["accuracy"])
    splits.write(tmp_path / "r", rows, np.arange(count))
    with pytest.raises(WorkerFailed, match=says):
        scores.read_rows(tmp_path / "r", "ort", NAMES, rows=3)


def test_rows_that_are_no_file(tmp_path: Path) -> None:
    read = functools.partial(scores.read_rows, runtime="ort", names=NAMES, rows=3)
    splits.write(tmp_path / "r", GOOD, np.arange(3))
    assert list(read(tmp_path / "r")) == NAMES
    (tmp_path / "r").write_bytes((tmp_path / "r").read_bytes()[:-1])
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "r", tmp_path, tmp_path / "none", tmp_path / "fifo"):
        with pytest.raises(WorkerFailed, match="ort: got no readable rows"):
            read(path)
