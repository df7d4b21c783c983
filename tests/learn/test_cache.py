"""A decoder that goes on from keys and values answers as in one pass, in torch and in every engine that is here."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from edgekd import runtimes
from edgekd.interface import PAST_LENGTH
from edgekd.interface import WHOLE_LENGTH
from edgekd.learn.cache import block_places
from edgekd.learn.cache import find_cache_sizes
from edgekd.learn.cache import with_cache
from edgekd.learn.models.text_encoder import text_tagger
from edgekd.runtime import Session
from tests import decoder_example as example

CLOSE = 1e-4
Load = Callable[[str], Session]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported decoder."""
    return example.write(tmp_path_factory.mktemp("decoder") / "model.onnx", example.decoder())


@pytest.fixture(scope="module")
def load(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Load:
    """A session of the exported decoder by the engine's name."""

    def load_engine(name: str) -> Session:
        runtime = runtimes.find_runtime(name)
        built = runtime.build(path, tmp_path_factory.mktemp(name), "fp32")
        return runtime.load(built, "fp32", 1)

    return load_engine


def run(session: Session, feeds: example.Arrays) -> example.Arrays:
    return dict(zip(session.output_names, session.run(feeds), strict=True))


def in_torch(feeds: example.Arrays) -> np.ndarray:
    """Logits of the model that has no cache."""
    with torch.no_grad():
        answer = example.decoder()(*(torch.from_numpy(each) for each in feeds.values()))
    return np.asarray(answer.numpy())


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("pieces", [(20,), (1,) * 20, (7, 1, 1, 5, 6)])
def test_calls_one_after_the_other_are_one_pass(
    load: Load, engine: str, pieces: tuple[int, ...]
) -> None:
    feeds, session = example.texts((20, 20, 20)), load(engine)
    want, ends = in_torch(feeds), list(itertools.accumulate(pieces))
    answers = example.answer_in_pieces(lambda call: run(session, call), feeds, pieces)
    for got, at, count in zip(answers, ends, pieces, strict=True):
        assert np.abs(got["logits"] - want[:, at - count : at]).max() < CLOSE
        assert all(each.shape[2] == at for each in example.next_states(got).values())


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("left", [False, True])
def test_padding_and_neighbours_change_nothing(load: Load, engine: str, left: bool) -> None:
    lengths, session = (5, 12, 9), load(engine)
    feeds = example.texts(lengths, left=left)
    together = run(session, {**feeds, **example.empty_states(3)})["logits"]
    for row, length in enumerate(lengths):
        inside = feeds["text_mask"][row] > 0
        alone = {
            "text": feeds["text"][row, inside][None],
            "text_mask": np.ones((1, length), np.int64),
        }
        own = run(session, {**alone, **example.empty_states(1)})["logits"][0]
        assert np.abs(together[row, inside] - own).max() < CLOSE
        assert np.abs(own - in_torch(alone)[0]).max() < CLOSE


def test_the_file_names_every_axis(path: Path) -> None:
    graph = onnx.load(path).graph
    axes = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    size = example.WIDTH // example.HEADS
    assert axes["text_mask"] == ["batch", WHOLE_LENGTH]
    assert axes["past_key_values.1.value"] == ["batch", example.HEADS, PAST_LENGTH, size]
    assert axes["present.0.key"] == ["batch", example.HEADS, WHOLE_LENGTH, size]


def test_no_place_is_seen_that_comes_later_or_is_padding() -> None:
    mask = torch.tensor([[0, 1, 1, 1]])
    assert block_places(mask, 2).tolist() == [
        [[[True, False, False, True], [True, False, False, False]]]
    ]


def test_an_encoder_keeps_nothing() -> None:
    model = text_tagger(classes=2, vocabulary=9, longest=4, layers=1, width=8, heads=2)
    assert find_cache_sizes(model) is None
    assert with_cache(model, example.interface()) == (model, example.interface())
