"""Hard-swish in parts is hard-swish; joined again it is one operator of the unrounded value."""

from __future__ import annotations

import copy

import numpy as np
import torch

from edgekd.learn.quant import hard_swish
from edgekd.learn.quant import operators
from tests import quant_example as example


def test_split_computes_the_same() -> None:
    module = example.folded(example.Swish)
    hard_swish.split_hard_swish(module)
    assert not operators.HARD_SWISH & {node.target for node in module.graph.nodes}
    with torch.no_grad():
        x = example.images()
        torch.testing.assert_close(module(x), example.made(example.Swish)(x), rtol=1e-5, atol=1e-5)


def test_joined_it_reads_what_was_not_rounded() -> None:
    module = copy.deepcopy(example.quantized(example.Swish).model)
    hard_swish.join_hard_swish(module)
    (whole,) = [node for node in module.graph.nodes if node.target in operators.HARD_SWISH]
    assert whole.args[0].target in operators.CONVOLUTIONS
    gates = [node for node in module.graph.nodes if node.target is operators.HARD_SIGMOID]
    assert len(gates) == 1  # the gate of the squeeze is none of a hard-swish


def test_coded_it_is_hard_sigmoid_rounded_to_its_codes() -> None:
    # numpy's reading of the three ONNX operators, against hard-sigmoid itself
    x = np.linspace(-5, 5, 1001, dtype=np.float32)
    for signed in (False, True):
        coded = hard_swish.CodedHardSigmoid(signed)
        held = {name: value.numpy() for name, value in coded.state_dict().items()}
        three = (held["three"].astype(np.float32) - held["zero"]) * held["three_step"]
        assert three == np.float32(3)
        info = np.iinfo(held["zero"].dtype)
        codes = np.clip(np.rint((x + three) / held["step"]) + held["zero"], info.min, info.max)
        got = (codes - held["zero"]) * held["read_step"]
        assert np.abs(got - np.clip(x / 6 + 0.5, 0, 1)).max() <= 0.5 / 255 + 1e-6
