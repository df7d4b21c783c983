"""What can be written in several forms is brought into the one that is quantized, and computes the same."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.interface import image_classifier
from edgekd.learn.export import to_onnx
from edgekd.learn.quant import emit
from edgekd.learn.quant import insertion
from edgekd.learn.quant import operators
from edgekd.learn.quant import rewriting
from edgekd.learn.quant import tracing
from edgekd.profile import NUMERICS
from edgekd.profile import PROFILES
from tests import quant_example as example

FOUR, EIGHT = (
    image_classifier(
        classes=classes, channels=example.CHANNELS, height=example.SIDE, width=example.SIDE
    )
    for classes in (4, 8)
)


class Mean(nn.Module):
    def __init__(self, axes: tuple[int, ...], keepdim: bool) -> None:
        super().__init__()
        self.axes, self.keepdim = axes, keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(self.axes, keepdim=self.keepdim)


@pytest.mark.parametrize("keepdim", [True, False])
@pytest.mark.parametrize(("axes", "pooled"), [((2, 3), True), ((-1, -2), True), ((1, 2), False)])
def test_the_same_values(axes: tuple[int, ...], pooled: bool, keepdim: bool) -> None:
    model = Mean(axes, keepdim)
    module = tracing.trace(model, example.INTERFACE)
    assert rewriting.apply_rewrites(module) == ([":mean"] if pooled else [])
    x = example.images(3)
    torch.testing.assert_close(module(x), model(x))
    assert (operators.POOL in {node.target for node in module.graph.nodes}) == pooled


EVEN_KERNEL = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


class Padded(nn.Module):
    """Convolutions whose padding is a word, two of them with more zeros on one side."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Conv2d(3, 8, 3, padding="same")
        self.even = nn.Conv2d(8, 8, (4, 2), padding="same", dilation=(1, 3), groups=2)
        self.valid = nn.Conv2d(8, 8, 3, padding="valid", bias=False)
        self.line = nn.Conv1d(8, 8, 2, padding="same")

    def forward(self, x: Tensor) -> Tensor:
        x = self.valid(self.even(self.same(x).relu()).relu()).relu()
        return self.line(x.flatten(2)).mean(2)


class Products(nn.Module):
    """Linear layers that are written as products with a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(3, 8))
        self.second, self.bias = nn.Parameter(torch.randn(6, 8)), nn.Parameter(torch.randn(6))
        self.third = nn.Parameter(torch.randn(6, 4))

    def forward(self, x: Tensor) -> Tensor:
        tokens = (x.flatten(2).transpose(1, 2) @ self.first).relu()
        pooled = torch.addmm(self.bias, tokens.mean(1), self.second.t())
        return torch.mm(pooled.relu(), self.third)


class Standardized(nn.Conv2d):
    """Weights that are computed anew at each run (Qiao et al. 2019, arXiv:1903.10520)."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        weight = weight / weight.flatten(1).std(1).reshape(-1, 1, 1, 1)
        return nn.functional.conv2d(x, weight, self.bias, padding=1)


class Computed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.standard = Standardized(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.parametrized = nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 1))
        self.fc = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.standard(x)).relu()
        return self.fc(self.parametrized(x).relu().mean((2, 3)))


class Attention(nn.Module):
    """Attention as one operator: plain, with a mask of numbers, with a scale of its own."""

    def __init__(self, *, causal: bool = False) -> None:
        super().__init__()
        self.qkv, self.fc = nn.Linear(3, 24), nn.Linear(8, 4)
        self.bias, self.causal = nn.Parameter(torch.randn(64, 64)), causal

    def forward(self, x: Tensor) -> Tensor:
        attend = nn.functional.scaled_dot_product_attention
        q, k, v = self.qkv(x.flatten(2).transpose(1, 2)).unflatten(2, (3, 2, 4)).unbind(2)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        if self.causal:
            return self.fc(attend(q, k, v, is_causal=True).transpose(1, 2).flatten(2).mean(1))
        x = attend(q, k, v) + attend(q, k, v, self.bias) + attend(q, k, v, scale=0.1)
        return self.fc(x.transpose(1, 2).flatten(2).mean(1))


class Causal(Attention):
    def __init__(self) -> None:
        super().__init__(causal=True)


@EVEN_KERNEL
@pytest.mark.parametrize(
    ("kind", "layers", "attentions"),
    [(Padded, 4, 0), (Products, 3, 0), (Computed, 3, 0), (Attention, 2, 3), (Causal, 2, 0)],
)
@pytest.mark.parametrize("numerics", list(NUMERICS))
def test_every_form_of_a_layer_is_quantized(
    kind: type[nn.Module], layers: int, attentions: int, numerics: str
) -> None:
    model = example.made(kind)
    started = example.quantized(kind, numerics, "int8")
    assert started.undone == () and len(insertion.find_weight_quantizers(started.model)) == layers
    probabilities = [
        one
        for one in insertion.find_activation_quantizers(started.model).values()
        if not one.learns
    ]
    assert len(probabilities) == attentions
    with torch.no_grad():
        got, want = started.model(example.images(16)), model(example.images(16))
    assert (got - want).abs().mean() < 0.1 * want.std()


@EVEN_KERNEL
@pytest.mark.parametrize("kind", [Padded, Products, Computed, Attention])
@pytest.mark.parametrize("profile", ["x86", "openvino"])
def test_onnx_runtime_answers_the_same(kind: type[nn.Module], profile: str, tmp_path: Path) -> None:
    model = example.quantized(kind, PROFILES[profile].numerics).model
    path = to_onnx.write(
        emit.prepare_export(model, PROFILES[profile]),
        tmp_path / "m.onnx",
        EIGHT if kind is Padded else FOUR,
    )
    x = example.images(16)
    (got,) = onnxruntime.InferenceSession(path).run(None, {"images": x.numpy()})
    with torch.no_grad():
        want = emit.fake_quantize(model, PROFILES[profile])(x)
    assert (torch.from_numpy(got) - want).abs().mean() < 0.02 * want.std()
