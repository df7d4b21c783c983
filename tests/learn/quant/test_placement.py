"""Where quantizers stand, for each kind of graph."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.quant import operators
from edgekd.learn.quant import placement
from edgekd.learn.quant import rewriting
from edgekd.learn.quant import tracing
from edgekd.profile import NUMERICS
from tests import quant_example as example

ASYMMETRIC, SYMMETRIC = NUMERICS["asymmetric"], NUMERICS["symmetric"]


def sites(kind: type, numerics: str, **more: Any) -> dict[str, placement.ActivationSite]:
    found = placement.place_quantizers(example.folded(kind), NUMERICS[numerics], **more).sites
    return {site.name: site for site in found}


@pytest.mark.parametrize("numerics", ["asymmetric", "symmetric"])
def test_a_residual_block(numerics: str) -> None:
    # after the fused activations, and once behind the convolution that the addition reads
    found = sites(example.Block, numerics)
    assert list(found) == ["images", "relu1", "conv2", "relu2", "pool"]
    assert len(found["relu1"].readers) == 2  # the next convolution and the shortcut share it


def test_hard_swish_is_fed_rounded_values_only_where_the_engine_cannot_fuse_it() -> None:
    assert "conv" in sites(example.Swish, "asymmetric")
    assert "conv" not in sites(example.Swish, "symmetric")
    assert sites(example.Swish, "asymmetric")["gate.2"].probabilities
    assert "gate.1" in sites(example.Swish, "asymmetric")  # the gate is int8 there


def test_attention() -> None:
    found = sites(example.Tokens, "asymmetric", forms=example.INT8_ATTENTION)
    # both products' inputs, the norms, the activation; never the stream that norms and additions read
    wanted = {"images", "patches", "norm1", "query", "key", "value", "norm2"}
    assert wanted <= set(found)
    (softmax,) = [site for site in found.values() if site.probabilities]
    assert softmax.source.target in operators.SOFTMAX
    streams = [site for site in found.values() if site.source.target is operators.ADD]
    assert streams == []


def test_the_products_of_an_attention_stay_in_float_where_nothing_is_said() -> None:
    found = sites(example.Tokens, "asymmetric")
    assert not {"query", "key", "value"} & set(found)
    assert not any(site.probabilities for site in found.values())
    assert {"norm1", "norm2"} <= set(found)


@pytest.mark.parametrize("numerics", ["asymmetric", "symmetric"])
def test_a_layer_left_in_float(numerics: str) -> None:
    found = sites(example.Block, numerics, float_layers=("conv2",))
    # the addition still runs in int8, so what it reads is rounded
    assert list(found) == ["images", "relu1", "conv2", "relu2", "pool"]
    readers = {reader.target for reader in found["relu1"].readers}
    # a convolution with an unrounded reader beside would run in float: there, all read the same
    assert operators.ADD in readers
    assert bool(readers & operators.CONVOLUTIONS) == NUMERICS[numerics].outputs


def test_nothing_to_quantize_and_unknown_layers_are_refused() -> None:
    module = example.folded()
    with pytest.raises(ValueError, match="'conv9', which is no layer"):
        placement.place_quantizers(module, ASYMMETRIC, ("conv9",))
    with pytest.raises(ValueError, match="no layer to quantize"):
        placement.place_quantizers(module, ASYMMETRIC, ("conv1", "conv2", "fc"))


def test_layers_in_order() -> None:
    assert [layer.name for layer in placement.find_quantizable_layers(example.folded())] == [
        "conv1",
        "conv2",
        "fc",
    ]


class Transposed(nn.Module):
    """Products that have no int8 form, and a layer whose weights come from the images."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 8, 2)
        self.matrix = nn.Parameter(torch.randn(8, 8))
        self.fc = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.einsum("bc,cd->bd", self.up(x).mean((2, 3)), self.matrix)
        return nn.functional.linear(self.fc(x), x[:2, :4])


def test_what_cannot_be_quantized_is_named() -> None:
    traced = tracing.trace(Transposed(), example.INTERFACE)
    rewriting.apply_rewrites(traced)
    assert placement.find_float_operators(traced) == ("up:conv_transpose2d", ":einsum", ":linear")
    assert placement.find_float_operators(example.folded()) == ()


class Hidden(nn.Module):
    """A product within a context that torch exports as a graph of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        found = self.fc(x.mean((2, 3)))
        with torch.autocast("cpu", enabled=False):
            return found @ found.T.float()[:, :2]


def test_what_hides_products_is_named() -> None:
    traced = tracing.trace(Hidden(), example.INTERFACE)
    assert placement.find_float_operators(traced) == (":wrap_with_autocast",)
