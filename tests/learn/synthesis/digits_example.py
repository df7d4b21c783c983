"""Teachers of real digits, trained in a second or two, and how their images are looked at."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.fields.image import Image
from edgekd.fields.image import mean_and_std
from edgekd.learn.data import digits
from edgekd.learn.data.loader import Samples
from edgekd.learn.models.resnet import resnet
from edgekd.learn.synthesis import SYNTHESIZERS
from edgekd.learn.synthesis import hooks
from edgekd.learn.synthesis import losses
from edgekd.learn.synthesis.request import SynthesisRequest
from edgekd.learn.view_settings import Views
from edgekd.progress import Silent
from tests import data_example

CLASSES, TRAIN = 10, 1400
CPU = torch.device("cpu")


class Plain(nn.Module):
    """Two convolutions without batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 16, 3, 2, 1)
        self.fc = nn.Linear(256, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(F.relu(self.two(F.relu(self.one(images)))).flatten(1))


@functools.cache
def split() -> tuple[Samples, Tensor, Tensor]:
    """The training digits, and held-out images [397, 1, 8, 8] with labels [397]."""
    source = data_example.opened(digits.read()).train
    order = np.random.default_rng(0).permutation(len(source.labels))
    mean, std = mean_and_std(source.images, order[:TRAIN])
    about = Image(height=8, width=8, channels=1, mean=mean, std=std)
    samples = data_example.samples(
        images=source.images[order[:TRAIN]],
        labels=source.labels[order[:TRAIN]],
        classes=CLASSES,
        image=about,
        views=Views(),
        seed=0,
    )
    rest = order[TRAIN:]
    images = torch.from_numpy(about.apply(source.images[rest]))
    return samples, images, torch.from_numpy(source.labels[rest])


def network(base: int = 8) -> nn.Module:
    return resnet(classes=CLASSES, channels=1, height=8, width=8, depth=8, base=base)


@functools.cache
def teacher(plain: bool = False) -> nn.Module:
    """Shared by tests, which must not change it."""
    samples = split()[0]
    images = torch.from_numpy(samples.image.apply(samples.rows["images"]))
    labels = torch.from_numpy(samples.labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = (Plain() if plain else network()).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(4):
            for rows in torch.randperm(TRAIN).split(64):
                optimizer.zero_grad()
                F.cross_entropy(model(images[rows]), labels[rows]).backward()
                optimizer.step()
    model.zero_grad()
    return model.eval().requires_grad_(False)


def accuracy(model: nn.Module) -> float:
    """On the held-out digits."""
    _, images, labels = split()
    with torch.no_grad():
        return float((model.eval()(images).argmax(1) == labels).float().mean())


def wanted(count: int = 64, seed: int = 0) -> SynthesisRequest:
    about = split()[0].image
    return SynthesisRequest(CLASSES, about, count, seed, CPU, Silent())


def made(name: str, model: nn.Module, asked: SynthesisRequest, **knobs: Any) -> Tensor:
    """All images in one tensor."""
    return torch.cat(list(SYNTHESIZERS[name].load()(model, asked, **knobs)))


def noise(count: int = 64) -> Tensor:
    """Images of random pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)
    return torch.from_numpy(split()[0].image.apply(pixels))


def distance(model: nn.Module, images: Tensor) -> float:
    """Of the batch norms."""
    with torch.no_grad():
        return float(losses.batch_norm_statistics(hooks.record_teacher(model, images).moments))


def confidence(model: nn.Module, images: Tensor) -> float:
    with torch.no_grad():
        return float(model(images).softmax(1).amax(1).mean())


def shares(model: nn.Module, images: Tensor) -> Tensor:
    """How many images the model puts into each class, [CLASSES]."""
    with torch.no_grad():
        return torch.bincount(model(images).argmax(1), minlength=CLASSES)
