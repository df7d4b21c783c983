"""Small networks and batches of a user's own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch import nn

Pair = tuple[Tensor, Tensor]


def net(width: int, seed: int = 0) -> nn.Sequential:
    """Images [B, 1, 8, 8] to logits [B, 3]."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, 3),
    )


def batches(count: int = 4, size: int = 16) -> list[Pair]:
    """Images that show their class as one bright pixel in the first row, and the classes."""
    random = torch.Generator().manual_seed(1)
    found = []
    for _ in range(count):
        images = torch.randn(size, 1, 8, 8, generator=random)
        labels = torch.randint(0, 3, (size,), generator=random)
        images[torch.arange(size), 0, 0, labels] += 8
        found.append((images, labels))
    return found


class Texts(nn.Module):
    """Token numbers and masks [B, T] to logits [B, 4]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.inner, self.outer = (
            nn.Embedding(20, 16),
            nn.Linear(16, 16),
            nn.Linear(16, 4),
        )

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        weight = mask.unsqueeze(-1).float()
        hidden = torch.relu(self.inner(self.embedding(ids))) * weight
        logits: Tensor = self.outer(hidden.sum(1) / weight.sum(1))
        return logits


def text_batches(*lengths: int) -> list[dict[str, Tensor]]:
    """Batches of 8 texts, by name."""
    random = torch.Generator().manual_seed(1)
    return [
        {
            "mask": torch.ones(8, length, dtype=torch.int64),
            "labels": torch.randint(0, 4, (8,), generator=random),
            "ids": torch.randint(0, 20, (8, length), generator=random),
        }
        for length in lengths
    ]
