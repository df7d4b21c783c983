"""A text fed piece by piece gives the logits of one pass, whatever the engine and the file; what does not fit is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from edgekd import runtimes
from edgekd.bench.streams import CallStream
from edgekd.bench.streams import open_stream
from edgekd.learn.export import to_onnx
from edgekd.learn.export.fused_decoder import FusedDecoder
from edgekd.runtime import EngineInput
from edgekd.runtime import Inference
from edgekd.runtime import TextStream
from edgekd.runtimes.openvino.stream import StateStream
from edgekd.text_buffer import BufferStream
from tests import decoder_example as example

FORMS = [("onnxruntime", "fused"), ("onnxruntime", "plain"), ("openvino", "plain")]
FORMS += [("onnxruntime", "whole"), ("openvino", "whole")]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, model = tmp_path_factory.mktemp("forms"), example.decoder()
    return {
        "plain": example.write(folder / "plain.onnx", model),
        "fused": example.write(folder / "fused.onnx", FusedDecoder(model)),
        "whole": to_onnx.write(model, folder / "whole.onnx", example.interface()),
    }


def stream(engine: str, path: Path, folder: Path) -> TextStream:
    built = runtimes.find_runtime(engine).build(path, folder, "fp32")
    spec = {
        "runtime": engine,
        "precision": "fp32",
        "threads": 1,
        "files": {name: str(path) for name, path in built.items()},
    }
    return open_stream(spec, example.LONGEST)


@pytest.mark.parametrize(("engine", "form"), FORMS)
def test_pieces_give_the_logits_of_one_pass(
    files: dict[str, Path], tmp_path: Path, engine: str, form: str
) -> None:
    tokens = example.texts((14,))["text"]
    with torch.no_grad():
        want = example.decoder()(torch.from_numpy(tokens), torch.ones(1, 14).long())[0].numpy()
    opened = stream(engine, files[form], tmp_path)
    for start, stop in ((0, 6), (6, 7), (7, 8), (8, 11), (11, 12), (12, 13), (13, 14)):
        got = opened.decode(tokens[0, start:stop])
        assert opened.length == stop
        assert np.abs(got - want[stop - 1]).max() < 1e-4
    for length in (9, 0):  # what is forgotten leaves no trace
        opened.rewind(length)
        assert np.abs(opened.decode(tokens[0, length:12]) - want[11]).max() < 1e-4


@pytest.mark.parametrize(("engine", "form"), FORMS[:3])
def test_a_text_that_does_not_fit_is_refused_in_one_line(
    files: dict[str, Path], tmp_path: Path, engine: str, form: str
) -> None:
    opened = stream(engine, files[form], tmp_path)
    opened.decode(np.ones(example.LONGEST, np.int64))
    message = "got 1 tokens behind 24, want at least 1 and at most 24 together, the longest text"
    with pytest.raises(ValueError, match=message):
        opened.decode(np.ones(1, np.int64))
    with pytest.raises(ValueError, match="got 0 tokens behind 24"):
        opened.decode(np.ones(0, np.int64))


def test_states_stay_in_the_engine_where_it_can(files: dict[str, Path], tmp_path: Path) -> None:
    for engine, form, kind in (
        ("onnxruntime", "fused", BufferStream),
        ("openvino", "plain", StateStream),
    ):
        folder = tmp_path / engine
        folder.mkdir()
        opened = stream(engine, files[form], folder)
        assert isinstance(opened._stream, kind)  # type: ignore[attr-defined]


def count_layers(opened: TextStream) -> Counter[str]:
    """Kinds of layers that OpenVINO runs."""
    compiled = opened._stream._request.get_compiled_model()  # type: ignore[attr-defined]
    layers = compiled.get_runtime_model().get_ordered_ops()
    return Counter(layer.get_rt_info()["layerType"].astype(str) for layer in layers)


def test_openvino_keeps_keys_and_values_in_its_attention_and_in_8_bits_where_weights_are(
    files: dict[str, Path], tmp_path: Path
) -> None:
    """The file is the same, so that what the cache rounds is all that differs."""
    built = runtimes.find_runtime("openvino").build(files["plain"], tmp_path, "fp32")
    tokens, found = example.texts((20,))["text"][0], {}
    for precision in ("fp32", "int8"):
        spec = {"runtime": "openvino", "precision": precision, "threads": 1}
        opened = open_stream({**spec, "files": {k: str(v) for k, v in built.items()}}, 24)
        counted = count_layers(opened)
        assert counted["ScaledDotProductAttention"] == example.LAYERS and not counted["Softmax"]
        found[precision] = np.stack([opened.decode(tokens[at : at + 1]).copy() for at in range(20)])
        opened.rewind(7)
        again = [opened.decode(tokens[at : at + 1]).copy() for at in range(7, 20)]
        assert np.abs(np.stack(again) - found[precision][7:]).max() < 0.01 * found["fp32"].std()
    off = np.abs(found["int8"] - found["fp32"]).max() / found["fp32"].std()
    assert 1e-6 < off < 0.05


def test_attention_that_is_written_otherwise_keeps_its_states_in_the_graph(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, logits = example.texts((12,))["text"][0], []
    for is_known in (True, False):
        if not is_known:
            monkeypatch.setattr("edgekd.runtimes.openvino.attention._read", lambda node: None)
        folder = tmp_path / str(is_known)
        folder.mkdir()
        opened = stream("openvino", files["plain"], folder)
        assert bool(count_layers(opened)["ScaledDotProductAttention"]) == is_known
        opened.decode(tokens[:8])
        logits.append(opened.decode(tokens[8:]).copy())
    assert np.abs(logits[0] - logits[1]).max() < 1e-4


class Stranger:
    """A session of anybody's file, whose logits need not come first."""

    def __init__(self, *outputs: str, ndim: int = 3) -> None:
        state = EngineInput("past_key_values.0.key", "float32", (None, 2, None, 4))
        names = ("text", "mask")
        self.inputs = (*(EngineInput(name, "int64", (None, None)) for name in names), state)
        self.output_names, self._ndim = outputs, ndim

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        logits = np.arange(3.0).reshape((1,) * (self._ndim - 1) + (3,))
        state = feeds["past_key_values.0.key"]
        return [logits if name == "logits" else state for name in self.output_names]

    def bind(self, feeds: Mapping[str, np.ndarray]) -> Inference:
        return lambda: self.run(feeds)


def test_logits_may_stand_behind_the_states() -> None:
    opened = CallStream(Stranger("present.0.key", "logits"))
    assert opened.decode(np.array([1, 2])).tolist() == [0, 1, 2]


def test_outputs_of_strangers_are_refused() -> None:
    for outputs in (("logits", "other"), ("present.0.key",)):
        with pytest.raises(ValueError, match="want logits and the states present"):
            CallStream(Stranger(*outputs))
    with pytest.raises(ValueError, match=r"want \[batch, length, vocabulary\]"):
        CallStream(Stranger("logits", "present.0.key", ndim=2)).decode(np.array([1]))
