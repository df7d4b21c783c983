"""A bias is a whole number of products in int32, and fits."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from edgekd.learn.export import to_onnx
from edgekd.learn.quant import emit
from edgekd.learn.quant import insertion
from edgekd.learn.quant import int32_bias
from edgekd.learn.quant import post_training
from edgekd.learn.quant.quantizer import ActivationQuantizer
from edgekd.profile import NUMERICS
from edgekd.profile import PROFILES
from edgekd.runtimes import ort
from tests import quant_example as example


def test_biases_become_whole_products_of_two_steps() -> None:
    model = example.quantized(example.Block).model
    before = copy.deepcopy(model.state_dict())
    rounded = int32_bias.round_biases(model)
    weights, sites = (
        insertion.find_weight_quantizers(model),
        insertion.find_activation_quantizers(model),
    )
    inputs = {"conv1": "images", "conv2": "relu1", "fc": "pool"}
    for layer, site in inputs.items():
        product = weights[layer].log_step.detach().exp() * sites[site].step()
        bias, old = rounded.get_submodule(layer).bias, model.get_submodule(layer).bias
        whole = (bias / product).detach()
        torch.testing.assert_close(whole, whole.round(), atol=1e-2, rtol=1e-6)
        assert 0 < float((bias - old).detach().abs().max()) <= 0.5001 * float(product.max())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_rounded_biases_answer_as_the_engine_does(tmp_path: Path) -> None:
    model = example.quantized(example.Block).model
    path = tmp_path / "m.onnx"
    to_onnx.write(emit.prepare_export(model, PROFILES["x86"]), path, example.INTERFACE, opset=18)
    images = example.images(256, seed=9)
    session = ort.load({"model.onnx": path}, "fp32", 1)
    got = session.run({session.inputs[0].name: images.numpy()})[0]
    with torch.no_grad():
        plain, rounded = model(images).numpy(), int32_bias.round_biases(model)(images).numpy()
    assert np.square(got - rounded).mean() < 0.1 * np.square(got - plain).mean()


@pytest.mark.parametrize("profile", ["x86", "x86-no-vnni", "arm"])
@pytest.mark.parametrize("part", [0.0, 1e-12, 1e-6])
def test_a_bias_beside_hardly_any_weight_fits_into_int32(
    profile: str, part: float, tmp_path: Path
) -> None:
    float_model = example.made(example.Block)
    with torch.no_grad():
        for conv, norm, sign in (
            (float_model.conv1, float_model.bn1, 1),
            (float_model.conv2, float_model.bn2, -1),
        ):
            conv.weight[3] *= part
            norm.bias[3], norm.running_mean[3] = sign * 1.5, 0.0
    numerics = NUMERICS[PROFILES[profile].numerics]
    model = post_training.quantize(
        float_model, example.INTERFACE, numerics, example.BATCHES, correct=False
    ).model
    path = tmp_path / "m.onnx"
    to_onnx.write(emit.prepare_export(model, PROFILES[profile]), path, example.INTERFACE, opset=18)
    images = example.images(64, seed=9)
    session = ort.load({"model.onnx": path}, "fp32", 1)
    got = session.run({session.inputs[0].name: images.numpy()})[0]
    with torch.no_grad():
        want = model(images).numpy()
    assert np.sqrt(np.square(got - want).mean()) < 2 * emit.logit_steps(model)[0]


def test_steps_of_channels_with_weights_keep_every_bit() -> None:
    model = copy.deepcopy(example.quantized(example.Block).model)
    weights = insertion.find_weight_quantizers(model)
    before = {name: each.log_step.detach().clone() for name, each in weights.items()}
    with torch.no_grad():
        weights["conv1"].log_step[3] = -40.0
        before["conv1"][3] = -40.0
    layers = [node for node in model.graph.nodes if int32_bias.find_bias(model, node) is not None]
    names = [str(layer.args[2].target).rpartition(".")[0] for layer in layers]
    assert names == ["conv1", "conv2", "fc"]
    for layer, name in zip(layers, names, strict=True):
        int32_bias.widen_steps(model, layer, weights[name])
    changed = weights["conv1"].log_step != before["conv1"]
    assert changed.nonzero().flatten().tolist() == [3]
    assert all(torch.equal(weights[name].log_step, before[name]) for name in ("conv2", "fc"))
    site = model.get_submodule("sites.images")
    assert isinstance(site, ActivationQuantizer)
    held = model.conv1.bias[3].abs() / (weights["conv1"].log_step[3].exp() * site.step())
    assert float(held.detach()) == pytest.approx(2**30, rel=1e-4)
