"""Small models to quantize, and images they have seen."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgekd.interface import image_classifier
from edgekd.learn.quant import blocks
from edgekd.learn.quant import calibration
from edgekd.learn.quant import rewriting
from edgekd.learn.quant.post_training import QuantizedStart
from edgekd.learn.quant.post_training import quantize
from edgekd.profile import NUMERICS

CHANNELS, SIDE, CLASSES = 3, 8, 10


class Block(nn.Module):
    """Convolution, batch norm, ReLU, convolution, batch norm, shortcut, ReLU; pool; linear."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(CHANNELS, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.relu2 = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        first = self.relu1(self.bn1(self.conv1(images)))
        return self.fc(self.pool(self.relu2(self.bn2(self.conv2(first)) + first)).flatten(1))


class Swish(nn.Module):
    """Hard-swish behind a convolution, and a gate (squeeze-and-excitation)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, 16, 3, padding=1)
        self.act = nn.Hardswish()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 16, 1), nn.Hardsigmoid())
        self.last = nn.Conv2d(16, 16, 1)
        self.fc = nn.Linear(16, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        found = self.act(self.conv(images))
        return self.fc(torch.relu(self.last(found * self.gate(found))).mean((2, 3)))


class Tokens(nn.Module):
    """One layer of attention over 4 tokens, then one linear layer; layer norms before both."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(CHANNELS, 16, 4, 4)
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))
        self.inner = nn.Linear(16, 32)
        self.outer = nn.Linear(32, 16)
        self.fc = nn.Linear(16, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        read = self.norm1(tokens)
        scores = torch.matmul(self.query(read), self.key(read).transpose(1, 2)) / 4
        tokens = tokens + torch.matmul(torch.softmax(scores, 2), self.value(read))
        tokens = tokens + self.outer(nn.functional.gelu(self.inner(self.norm2(tokens))))
        return self.fc(tokens.mean(1))


def made(kind: type[nn.Module] = Block, seed: int = 0) -> nn.Module:
    """A model with weights and batch statistics of its own, in evaluation mode."""
    torch.manual_seed(seed)
    model = kind()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias, 0, 0.2)
    return model.eval()


def images(count: int = 32, seed: int = 1) -> Tensor:
    """[count, C, H, W], the same for a seed."""
    return torch.randn(count, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def batches() -> list[Tensor]:
    """Two batches to calibrate on."""
    return [images(32, 1), images(32, 2)]


def inputs(count: int = 32, seed: int = 1) -> tuple[Tensor]:
    """`images`, as what a network takes."""
    return (images(count, seed),)


def input_batches() -> list[tuple[Tensor, ...]]:
    """`batches`, as what a network takes."""
    return [(each,) for each in batches()]


BATCHES: calibration.Batches = input_batches
INTERFACE = image_classifier(classes=CLASSES, channels=CHANNELS, height=SIDE, width=SIDE)


INT8_ATTENTION = blocks.resolve_forms({"attention-products": "int8"})


@functools.cache
def quantized(
    kind: type[nn.Module] = Block, numerics: str = "asymmetric", attention: blocks.Form = "float"
) -> QuantizedStart:
    """A model calibrated on `batches`; shared by tests, which must not change it."""
    forms = blocks.resolve_forms({"attention-products": attention})
    return quantize(made(kind), INTERFACE, NUMERICS[numerics], BATCHES, forms=forms)


def folded(kind: type[nn.Module] = Block) -> torch.fx.GraphModule:
    """A fresh traced model."""
    return rewriting.trace_and_rewrite(made(kind), INTERFACE, [inputs()])[0]
