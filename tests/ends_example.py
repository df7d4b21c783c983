"""Small models with other ends than a classifier of images, and what goes into them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch import nn

from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Tensor as End
from edgekd.learn.model_inputs import Inputs

VOCABULARY, LONGEST, CLASSES, WIDTH, HEADS = 50, 128, 3, 32, 4
MAP_CLASSES, SIDE = 5, 16


class Block(nn.Module):
    """Attention under a mask, then two linear layers; each behind a norm, each added to its input."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.inner, self.outer = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        read = self.norm1(tokens)
        query, key, value = (
            layer(read).unflatten(2, (HEADS, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        sees = mask[:, None, None, :] > 0
        if self.fused:
            mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=sees)
        else:
            scores = query @ key.transpose(2, 3) / (WIDTH // HEADS) ** 0.5
            scores = scores.masked_fill(~sees, torch.finfo(scores.dtype).min)
            mixed = torch.softmax(scores, 3) @ value
        tokens = tokens + self.out(mixed.transpose(1, 2).flatten(2))
        return tokens + self.outer(nn.functional.gelu(self.inner(self.norm2(tokens))))


class Encoder(nn.Module):
    """Two blocks over tokens and positions; classes from the mean of what is no padding."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(LONGEST, WIDTH)
        self.blocks = nn.ModuleList(Block(fused) for _ in range(2))
        self.norm = nn.LayerNorm(WIDTH)
        self.fc = nn.Linear(WIDTH, CLASSES)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x, mask)
        weights = mask.to(x.dtype)[:, :, None]
        return self.fc((self.norm(x) * weights).sum(1) / weights.sum(1))


TEXT = Interface(
    (
        End("ids", "int64", ("batch", "tokens"), "index", below=VOCABULARY),
        End("mask", "int64", ("batch", "tokens"), "mask"),
    ),
    (End("logits", "float32", ("batch", CLASSES), "logits", class_axis=1, target="labels"),),
    (Axis("batch"), Axis("tokens", 1, 16, LONGEST)),
)


def texts(count: int, length: int, seed: int = 0, padded: int = 0) -> Inputs:
    """Ids and mask of `count` texts up to `length` long; the first is, the others end earlier.

    Args:
        count: how many.
        length: in tokens, of the longest.
        seed: other texts with another.
        padded: how many places of padding follow.
    """
    random = torch.Generator().manual_seed(1000 * seed + length)
    ids = torch.randint(VOCABULARY, (count, length + padded), generator=random)
    lengths = torch.randint(1, length + 1, (count,), generator=random)
    lengths[0] = length
    mask = (torch.arange(length + padded) < lengths[:, None]).long()
    return ids * mask, mask


class UNet(nn.Module):
    """Down twice and up twice, what was seen on the way down beside it; logits for each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self._pair(3, 8)
        self.second = self._pair(8, 16)
        self.third = self._pair(16, 16)
        self.up = nn.ConvTranspose2d(16, 16, 2, 2)
        self.fourth = self._pair(32, 8)
        self.fifth = self._pair(16, 8)
        self.head = nn.Conv2d(8, MAP_CLASSES, 1)

    @staticmethod
    def _pair(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )

    def forward(self, images: Tensor) -> Tensor:
        first = self.first(images)
        second = self.second(nn.functional.max_pool2d(first, 2))
        third = self.third(nn.functional.max_pool2d(second, 2))
        fourth = self.fourth(torch.cat([self.up(third), second], 1))
        above = nn.functional.interpolate(fourth, scale_factor=2, mode="nearest")
        return self.head(self.fifth(torch.cat([above, first], 1)))


MAP = Interface(
    (End("images", "float32", ("batch", 3, SIDE, SIDE)),),
    (
        End(
            "logits",
            "float32",
            ("batch", MAP_CLASSES, SIDE, SIDE),
            "logits",
            class_axis=1,
            target="map",
        ),
    ),
)


class TwoEnds(nn.Module):
    """An image and a row of numbers to classes and two numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.inner = nn.Linear(6, 8)
        self.both = nn.Linear(16, 16)
        self.classes, self.numbers = nn.Linear(16, CLASSES), nn.Linear(16, 2)

    def forward(self, images: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        seen = torch.relu(self.conv(images)).mean((2, 3))
        both = torch.relu(self.both(torch.cat([seen, torch.relu(self.inner(values))], 1)))
        return self.classes(both), self.numbers(both)


TWO = Interface(
    (
        End("images", "float32", ("batch", 3, 8, 8)),
        End("values", "float32", ("batch", 6)),
    ),
    (
        End("logits", "float32", ("batch", CLASSES), "logits", class_axis=1, target="labels"),
        End("numbers", "float32", ("batch", 2), target="numbers"),
    ),
)


def made(kind: type[nn.Module], *arguments: object) -> nn.Module:
    """A model with weights and statistics of its own, the same each time, in evaluation mode."""
    torch.manual_seed(0)
    model = kind(*arguments)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model.eval()


def drawn(interface: Interface, count: int, seed: int = 0) -> Inputs:
    """Normal noise in the shapes of its inputs."""
    random = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(interface.shape(end, count), generator=random) for end in interface.inputs
    )
