"""Fused operators answer as the network itself: whole texts, token after token, padded, and with one buffer for all."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edgekd.learn.export.fused_decoder import FusedDecoder
from edgekd.learn.export.fused_decoder import find_epsilon
from tests import decoder_example as example

CLOSE = 1e-4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fused") / "model.onnx"
    return example.write(path, FusedDecoder(example.decoder()))


@pytest.fixture(scope="module")
def session(model: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options)


def run(session: Any, feeds: example.Arrays) -> example.Arrays:
    names = [node.name for node in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def in_torch(feeds: example.Arrays) -> np.ndarray:
    with torch.no_grad():
        answer = example.decoder()(*(torch.from_numpy(each) for each in feeds.values()))
    return np.asarray(answer.numpy())


def test_attention_norms_and_products_are_one_operator_each(model: Path) -> None:
    counts = Counter(node.op_type for node in onnx.load(model).graph.node)
    assert counts["GroupQueryAttention"] == example.LAYERS
    assert counts["SkipLayerNormalization"] == 2 * example.LAYERS
    assert counts["LayerNormalization"] == 1
    assert counts["MatMul"] == 4 * example.LAYERS + 1  # packed, project, two of the feed; the head
    assert counts["Softmax"] == 0


def test_texts_padded_on_the_right(session: Any) -> None:
    feeds = example.texts((12, 5, 9))
    got, inside = run(session, {**feeds, **example.empty_states(3)}), feeds["text_mask"] > 0
    assert np.abs(got["logits"] - in_torch(feeds))[inside].max() < CLOSE


@pytest.mark.parametrize("pieces", [(1,) * 12, (4, 1, 3, 4)])
def test_calls_one_after_the_other(session: Any, pieces: tuple[int, ...]) -> None:
    feeds = example.texts((12,))
    answers = example.answer_in_pieces(lambda call: run(session, call), feeds, pieces)
    got = np.concatenate([each["logits"] for each in answers], axis=1)
    assert np.abs(got - in_torch(feeds)).max() < CLOSE


def test_only_the_last_logits_are_given_to_who_asks(session: Any) -> None:
    feeds = {**example.texts((12,)), **example.empty_states(1)}
    whole = run(session, feeds)["logits"]
    last = run(session, {**feeds, "logits_to_keep": np.array([1])})["logits"]
    assert last.shape == (1, 1, example.VOCABULARY)
    assert np.abs(last[:, 0] - whole[:, -1]).max() < CLOSE


def test_what_tells_no_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear does not tell its layers"):
        FusedDecoder(nn.Linear(1, 1))
    with pytest.raises(ValueError, match="Linear does not say"):
        find_epsilon(nn.Linear(1, 1))
