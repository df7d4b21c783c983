"""What `edgekd bench` measures of a decoder's bundle is what `edgekd predict` runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekd import graph
from edgekd.bench import user_models
from edgekd.bench.call import TEXT
from edgekd.bench.process import run_worker
from edgekd.bench.session import Rules
from edgekd.bench.session import worker_spec
from edgekd.bench.size_options import list_combinations
from edgekd.bench.user_models import MeasureRequest
from edgekd.bench.user_models import PreparedSubject
from edgekd.errors import InputError
from tests import bench_example
from tests import decoder_bundle_example

ENGINES = ("onnxruntime", "openvino")
STREAMS = {
    "onnxruntime": {"attention": "GroupQueryAttention f32", "cache": "f32"},
    "openvino": {"attention": "ScaledDotProductAttention f32", "cache": "f32"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return decoder_bundle_example.make(tmp_path_factory.mktemp("decoder"))


def prepare(scratch: Path, *models: Path, sizes: tuple[str, ...] = ()) -> list[PreparedSubject]:
    scratch.mkdir()
    request = MeasureRequest(
        ENGINES, (), (1,), None, 60.0, sizes=tuple(list_combinations(sizes)), beside=()
    )
    return list(user_models.prepare_subjects(models, request, scratch))


def test_each_engine_gets_its_file_and_each_length_a_row(folder: Path, tmp_path: Path) -> None:
    sizes = ("prompt_length=4,6", "context_length=9")
    ready = prepare(tmp_path / "a", folder, sizes=sizes)
    whole, *calls = (one.subject.call for one in ready if one.subject.engine.runtime == ENGINES[0])
    assert whole is not None and {*whole.inputs} == {"text", "text_mask"} and not whole.decoding
    assert [(call.label, call.decoding["kind"], call.inputs[TEXT].shape) for call in calls] == [
        ("prompt_length=4", "first token", (None, 4)),
        ("prompt_length=6", "first token", (None, 6)),
        ("context_length=9", "next token", (None, 10)),
    ]
    assert len(ready) == 8
    (path,) = {one.subject.engine.files.get("model.onnx") for one in ready} - {None}
    assert "GroupQueryAttention" in {node.op for node in graph.read(path).nodes}
    digests = {one.subject.engine.runtime: one.sha256 for one in ready}
    assert digests[ENGINES[0]] != digests[ENGINES[1]]


@pytest.mark.parametrize("runtime", ENGINES)
def test_every_row_runs(folder: Path, tmp_path: Path, runtime: str) -> None:
    ready = prepare(tmp_path / "a", folder, sizes=("context_length=9",))
    for one in ready:
        if one.subject.engine.runtime == runtime:
            spec, reads = worker_spec(one.subject, Rules())
            spec["steady"]["min_ns"] = 1
            told = run_worker("memory", spec, timeout_s=60, reads=reads)
            assert told["peak_rss_bytes"]
            assert told.get("stream") == (STREAMS[runtime] if one.subject.call.decoding else None)


@pytest.mark.parametrize(
    ("size", "want"),
    [
        ("context_length=24", "--size context_length: got 24, want 1 to 23, the longest sample"),
        ("prompt_length=25", "--size prompt_length: got 25, want 1 to 24, the longest sample"),
        ("prompt_lenght=2", "--size: got 'prompt_lenght'"),
        ("text_length=0", "bundle: got 0 for axis 1 of 'text', want at least 1"),
        ("text=1x0", "bundle: got 0 for axis 1 of 'text', want at least 1"),
        (
            "text_length=25",
            "bundle: text_length of 'text': got 25, want 1 to 24, the longest sample",
        ),
    ],
)
def test_a_text_that_does_not_fit_is_refused(
    folder: Path, tmp_path: Path, size: str, want: str
) -> None:
    with pytest.raises(InputError) as caught:
        prepare(tmp_path / "a", folder, sizes=(size,))
    assert str(caught.value).startswith(want)


def test_other_models_have_no_prompt(tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "m.onnx")
    with pytest.raises(InputError, match="--size: got 'prompt_length'"):
        prepare(tmp_path / "a", model, sizes=("prompt_length=4",))
    assert len(prepare(tmp_path / "b", model)) == len(ENGINES)


def test_a_size_of_the_text_is_one_of_its_mask(folder: Path, tmp_path: Path) -> None:
    """States begin empty, so that the file's own axis of earlier and new tokens is no other."""
    ready = prepare(tmp_path / "a", folder, sizes=("text_length=5",))
    shapes = {n: e.shape for one in ready for n, e in one.subject.call.inputs.items()}
    assert shapes == {"text": (None, 5), "text_mask": (None, 5)}
