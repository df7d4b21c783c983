"""After correction each layer's mean output is the float model's; a few tokens far beyond the others move none of them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch import fx
from torch import nn

from edgekd import interface
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
    with calibration.disable_quantizers(module):
        want = _means(module, images)
    off = _furthest(module, want, images)
    bias_correction.correct_biases(module, (images,))
    assert _furthest(module, want, images) < 0.02 * off


class _Means(fx.Interpreter):
    """Keeps the mean [O] over samples and places of what each layer gives."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[fx.Node, Tensor] = {}

    def run_node(self, n: fx.Node) -> object:
        output = super().run_node(n)
        if n.target in operators.LAYERS:
            self.found[n] = output.transpose(0, 1).flatten(1).mean(1)
        return output


def _means(module: fx.GraphModule, images: Tensor) -> dict[fx.Node, Tensor]:
    got = _Means(module)
    with torch.no_grad():
        got.run(images)
    return got.found


def _furthest(module: fx.GraphModule, want: dict[fx.Node, Tensor], images: Tensor) -> float:
    got = _means(module, images)
    return max(float((got[node] - mean).abs().max()) for node, mean in want.items())


class Bare(nn.Module):
    """A layer without a bias, which cannot be corrected, before one that has one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(example.CHANNELS, 6, 3, bias=False)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(x).relu().mean((2, 3)))


class Shared(nn.Module):
    """Two layers of one bias, which cannot be moved for either alone."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(example.CHANNELS, example.CHANNELS)
        self.fc = nn.Linear(example.CHANNELS, example.CHANNELS)
        self.fc.bias = self.first.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.first(x.mean((2, 3))))


@pytest.mark.parametrize(("network", "moves"), [(Bare, {"fc.bias"}), (Shared, set())])
def test_what_has_no_bias_of_its_own_is_left_and_those_behind_it_are_corrected(
    network: type[nn.Module], moves: set[str]
) -> None:
    started = post_training.quantize(
        example.made(network),
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
    assert moved == moves
    if moves:
        with torch.no_grad():
            off = (module(images) - example.made(network)(images)).mean(0)
        torch.testing.assert_close(off, torch.zeros(4), atol=1e-5, rtol=0)


def _shift(error: Tensor, mask: Tensor | None = None) -> Tensor:
    return bias_correction.find_shift(fx.Graph().call_function(operators.LINEAR), error, mask)


def test_a_linear_layer_is_off_over_its_last_axis() -> None:
    error = torch.arange(12.0).reshape(1, 3, 4)
    assert _shift(error).tolist() == _shift(error[0]).tolist() == [4, 5, 6, 7]


def test_neither_padding_nor_a_few_tokens_count() -> None:
    error, mask = torch.full((4, 10, 3), 9.0), torch.ones(4, 10, dtype=torch.int64)
    error[:, :4], mask[:, 4:] = 0.5, 0
    error[:, 0] = torch.tensor([[-40.0], [0.5], [0.5], [50.0]])  # 2 of 16 tokens
    assert _shift(error, mask).tolist() == [0.5] * 3
    assert _shift(error)[0] > 1


LENGTHS = (3, 4, 12, 5)
TEXTS = interface.Interface(
    (
        interface.Tensor("tokens", "int64", (interface.BATCH, "length"), "index", below=40),
        interface.Tensor("tokens_mask", "int64", (interface.BATCH, "length"), "mask"),
    ),
    (interface.Tensor("vector", "float32", (interface.BATCH, 8)),),
    (interface.Axis(interface.BATCH), interface.Axis("length", 1, 12, 12)),
)


class Encoder(nn.Module):
    """Tokens of which the first of each text, 0, is far beyond all others, as in BERT; and their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(40, 8)
        self.inside, self.outside = nn.Linear(8, 16), nn.Linear(16, 8)
        with torch.no_grad():
            self.tokens.weight[0] *= 20

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        states = self.tokens(tokens)
        states = states + self.outside(self.inside(states).relu())
        states = nn.functional.layer_norm(states, (8,))
        counted = mask[:, :, None].to(states.dtype)
        return (states * counted).sum(1) / counted.sum(1)


def _texts(seed: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.tensor(LENGTHS * 8)[:, None]
    mask = (torch.arange(12) < lengths).long()
    tokens = torch.randint(2, 40, mask.shape, generator=draw) * mask
    tokens[:, 0] = 0
    return tokens + (1 - mask), mask  # 1 is the padding


def test_an_encoder_of_texts_of_many_lengths_is_better_for_it() -> None:
    torch.manual_seed(0)
    batches = [_texts(seed) for seed in range(3)]
    started = post_training.quantize(
        Encoder().eval(),
        TEXTS,
        NUMERICS["asymmetric"],
        lambda: batches,
        method="min-max",
        equalize=0.0,
        every_weight_bits=4,
    )
    assert started.corrected
    assert started.tried["bias correction"] < started.tried["min-max"]
