"""A cache of codes is a quarter of the bytes, moves answers by the rounding of codes, and is refused where it cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from edgekd import runtimes
from edgekd.bench.narrow_cache import find_largest
from edgekd.bench.streams import open_stream
from edgekd.interface import PRESENT
from edgekd.learn.export import cache_in_8_bits
from edgekd.learn.export.fused_decoder import FusedDecoder
from tests import decoder_example as example

MASK = "text_mask"


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cache") / "fused.onnx"
    return example.write(path, FusedDecoder(example.decoder()))


def open_file(path: Path) -> Any:
    return runtimes.find_runtime("onnxruntime").load({"model.onnx": path}, "fp32", 1)


@pytest.fixture(scope="module")
def largest(fused: Path) -> cache_in_8_bits.Largest:
    texts = [(example.texts(lengths), MASK) for lengths in ((12, 5, 9), (24,))]
    return find_largest(open_file(fused), texts)


@pytest.fixture(scope="module")
def narrow(fused: Path, largest: cache_in_8_bits.Largest) -> Path:
    goal = fused.with_name("narrow.onnx")
    cache_in_8_bits.write_narrow(fused, largest, goal)
    return goal


def stream(path: Path) -> Any:
    files = {"model.onnx": str(path)}
    spec = {"runtime": "onnxruntime", "precision": "fp32", "threads": 1, "files": files}
    return open_stream(spec, example.LONGEST)


def test_the_largest_of_each_channel_is_of_real_tokens_alone(
    fused: Path, largest: cache_in_8_bits.Largest
) -> None:
    feeds, session = example.texts((12, 5, 9)), open_file(fused)
    alone = [np.zeros((example.HEADS, example.WIDTH // example.HEADS))]
    name = f"{PRESENT}0.key"
    for text, length in zip(feeds["text"], (12, 5, 9), strict=True):
        call = {"text": text[None, :length], MASK: np.ones((1, length), np.int64)}
        answers = session.run({**call, **example.empty_states(1)})
        kept = dict(zip(session.output_names, answers, strict=True))[name]
        alone.append(np.abs(kept[0]).max(1))
    want = np.max(alone, axis=0)
    got = find_largest(session, [(feeds, MASK)])[name]
    np.testing.assert_allclose(got, want, rtol=1e-5)
    assert (largest[name] >= got).all()
    assert len(largest) == 2 * example.LAYERS


def test_answers_move_by_the_rounding_of_codes(fused: Path, narrow: Path) -> None:
    tokens = example.texts((20,))["text"][0]
    with torch.no_grad():
        mask = torch.ones(1, 20).long()
        want = example.decoder()(torch.from_numpy(tokens)[None], mask)[0].numpy()
    opened, plain = stream(narrow), stream(fused)
    got = np.stack([opened.decode(tokens[at : at + 1]).copy() for at in range(20)])
    off = np.sqrt(np.square(got - want).mean()) / want.std()
    assert 1e-5 < off < 0.02
    opened.rewind(7)
    pieces = opened.decode(tokens[7:20]).copy()
    assert np.sqrt(np.square(pieces - want[19]).mean()) < 0.02 * want.std()
    told = [one._stream.describe()["cache"] for one in (opened, plain)]
    assert told == ["i8", "f32"]
    buffers, floats = ([each.nbytes for each in one._stream._buffers] for one in (opened, plain))
    assert [4 * size for size in buffers] == floats


def test_scales_are_the_channels_own(
    fused: Path, largest: cache_in_8_bits.Largest, narrow: Path
) -> None:
    """With the scales of other channels answers are far off: each is where the operator looks for it."""
    tokens = example.texts((20,))["text"][0]
    mixed = {
        name: np.roll(np.geomspace(0.02, 2, each.size), 1).reshape(each.shape) * each
        for name, each in largest.items()
    }
    wrong = fused.with_name("wrong.onnx")
    cache_in_8_bits.write_narrow(fused, mixed, wrong)
    answers = [stream(path).decode(tokens).copy() for path in (fused, narrow, wrong)]
    right, bad = (np.abs(each - answers[0]).max() for each in answers[1:])
    assert 10 * right < bad


def test_a_state_of_no_attention_is_refused(fused: Path, largest: cache_in_8_bits.Largest) -> None:
    model = onnx.load(fused)
    extra = helper.make_tensor_value_info("past_key_values.9.key", 1, [1, 2, None, 8])
    model.graph.input.append(extra)
    with pytest.raises(ValueError, match="some states are no attention's"):
        cache_in_8_bits.narrow_cache(model, largest)
    model = onnx.load(fused)
    (first, *_) = (node for node in model.graph.node if node.op_type == "GroupQueryAttention")
    first.input[3] = "changed"
    with pytest.raises(ValueError, match="on their way into the cache"):
        cache_in_8_bits.narrow_cache(model, largest)
