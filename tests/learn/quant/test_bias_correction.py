"""After correction each layer's mean output is the float model's."""

from __future__ import annotations

import copy

import torch
from torch import nn

from edgekd.learn.quant import bias_correction
from edgekd.learn.quant import calibration
from edgekd.learn.quant import operators
from edgekd.learn.quant import post_training
from edgekd.profile import NUMERICS
from tests import quant_example as example


def test_means_are_those_of_the_float_model() -> None:
    started = post_training.quantize(
        example.made(),
        example.INTERFACE,
        NUMERICS["asymmetric"],
        example.BATCHES,
        correct=False,
        every_weight_bits=3,
    )
    module, images = copy.deepcopy(started.model), example.images(64)
    want = bias_correction._Means(module)
    with torch.no_grad(), calibration.disable_quantizers(module):
        want.run(images)
    off = _furthest(module, want.found, images)
    bias_correction.correct_biases(module, (images,))
    assert _furthest(module, want.found, images) < 0.02 * off


def _furthest(
    module: torch.fx.GraphModule, want: dict[torch.fx.Node, torch.Tensor], images: torch.Tensor
) -> float:
    got = bias_correction._Means(module)
    with torch.no_grad():
        got.run(images)
    return max(float((got.found[node] - mean).abs().max()) for node, mean in want.items())


class Bare(nn.Module):
    """A layer without a bias, which cannot be corrected, before one that has one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(example.CHANNELS, 6, 3, bias=False)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(x).relu().mean((2, 3)))


def test_what_has_no_bias_is_left_and_those_behind_it_are_corrected() -> None:
    started = post_training.quantize(
        example.made(Bare),
        example.INTERFACE,
        NUMERICS["asymmetric"],
        example.BATCHES,
        correct=False,
        every_weight_bits=3,
    )
    module, images = started.model, example.images(64)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    bias_correction.correct_biases(module, (images,))
    moved = {n for n, value in module.state_dict().items() if not torch.equal(value, before[n])}
    assert moved == {"fc.bias"}
    with torch.no_grad():
        off = (module(images) - example.made(Bare)(images)).mean(0)
    torch.testing.assert_close(off, torch.zeros(4), atol=1e-5, rtol=0)


def test_channel_means_of_a_linear_layer_are_over_its_last_axis() -> None:
    graph = torch.fx.Graph()
    node = graph.call_function(operators.LINEAR, ())
    output = torch.arange(12.0).reshape(1, 3, 4)
    assert bias_correction.channel_means(node, output).tolist() == [4, 5, 6, 7]
