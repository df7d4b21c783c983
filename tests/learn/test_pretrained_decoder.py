"""Models of transformers go on from flat keys and values, plain and fused, and answer as without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.bench.states import make_empty_state
from edgekd.interface import PAST
from edgekd.learn.export.fused_decoder import FusedDecoder
from edgekd.learn.text_network import TEXT_TYPES
from edgekd.learn.text_network import TextNetwork
from edgekd.runtimes import openvino
from edgekd.runtimes import ort
from edgekd.runtimes.openvino.stream import StateStream
from tests import decoder_example as example

SIZES = {
    "vocab_size": example.VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": example.LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": example.HEADS,
    "head_dim": 16,
    "max_position_embeddings": example.LONGEST,
}


def build(kind: str, **more: Any) -> TextNetwork:
    """A model of the package behind our ends, with weights that tell tokens and places apart."""
    import transformers

    torch.manual_seed(0)
    sizes = {
        k: v
        for k, v in SIZES.items()
        if kind != "gpt2" or k not in ("head_dim", "num_key_value_heads")
    }
    settings = transformers.AutoConfig.for_model(kind, **{**sizes, **more})
    network = transformers.AutoModelForCausalLM.from_config(settings, attn_implementation="eager")
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    size = example.VOCABULARY
    return TextNetwork(network, TEXT_TYPES[kind], "next", first_position=0, size=size).eval()


def run_in_steps(path: Path, feeds: example.Arrays, pieces: tuple[int, ...]) -> np.ndarray:
    session = ort.load({"model.onnx": path}, "fp32", 1)
    past = [each for each in session.inputs if each.name.startswith(PAST)]
    states, at, found = {each.name: make_empty_state(each, 1) for each in past}, 0, []
    for count in pieces:
        call = {
            "text": feeds["text"][:, at : at + count].copy(),
            "text_mask": feeds["text_mask"][:, : at + count].copy(),
        }
        got = dict(zip(session.output_names, session.run({**call, **states}), strict=True))
        states, at = example.next_states(got), at + count
        found.append(got["logits"])
    return np.concatenate(found, axis=1)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("kind", "fused"),
    [
        ("qwen2", True),
        pytest.param("llama", True, marks=SLOW),
        pytest.param("qwen3", True, marks=SLOW),
        pytest.param("llama", False, marks=SLOW),
        pytest.param("qwen3", False, marks=SLOW),
        pytest.param("gpt2", False, marks=SLOW),
    ],
)
def test_in_steps_as_in_one_pass(tmp_path: Path, kind: str, fused: bool) -> None:
    model = build(kind)
    path = example.write(tmp_path / "model.onnx", FusedDecoder(model) if fused else model)
    feeds = example.texts((14,))
    with torch.no_grad():
        want = model(*(torch.from_numpy(each) for each in feeds.values())).numpy()
    for pieces in ((14,), (6, 1, 1, 3, 1, 1, 1)):
        got = run_in_steps(path, feeds, pieces)
        assert np.abs(got - want).max() < 1e-4 * max(1.0, float(np.abs(want).max()))


@pytest.mark.parametrize(
    "kind", ["qwen2", *(pytest.param(k, marks=SLOW) for k in ("llama", "qwen3", "gpt2"))]
)
def test_openvino_runs_its_attention_as_one_operator(tmp_path: Path, kind: str) -> None:
    model, tokens = build(kind), example.texts((14,))["text"]
    built = openvino.build(example.write(tmp_path / "model.onnx", model), tmp_path, "fp32")
    opened = openvino.open_stream(built, "fp32", 1, example.LONGEST)
    assert isinstance(opened, StateStream)
    layers = opened._request.get_compiled_model().get_runtime_model().get_ordered_ops()
    kinds = [layer.get_rt_info()["layerType"].astype(str) for layer in layers]
    assert kinds.count("ScaledDotProductAttention") == example.LAYERS
    with torch.no_grad():
        want = model(torch.from_numpy(tokens), torch.ones(1, 14).long())[0].numpy()
    for start, stop in ((0, 9), (9, 10), (10, 12), (12, 13), (13, 14)):
        got = opened.decode(tokens[0, start:stop])
        assert np.abs(got - want[stop - 1]).max() < 1e-4 * max(1.0, float(np.abs(want).max()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "more", "message"),
    [
        ("qwen2", {"head_dim": 24}, "heads of 24 numbers"),
        ("gpt2", {}, "model_type 'gpt2' is not one of llama"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
            "'dynamic'",
        ),
    ],
)
def test_what_cannot_be_fused_says_why(kind: str, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FusedDecoder(build(kind, **more))
