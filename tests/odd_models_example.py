"""Models as users write them: each has a trait that training, storing or exporting cannot do with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import nn


class Linear(nn.Module):
    """A linear classifier."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(64, classes)

    def forward(self, images: Tensor) -> Any:
        return self.fc(images.flatten(1))


class Parameterless(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, images: Tensor) -> Any:
        return images.flatten(1)[:, : self.classes]


class Integers(Linear):
    def forward(self, images: Tensor) -> Any:
        return super().forward(images).long()


class ComplexWeights(Linear):
    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.phase = nn.Parameter(torch.zeros(classes, dtype=torch.complex64))

    def forward(self, images: Tensor) -> Any:
        return super().forward(images) + self.phase.abs()


class SparseBuffer(Linear):
    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.register_buffer("mask", torch.eye(classes).to_sparse())


class ExtraState(Linear):
    def get_extra_state(self) -> Any:
        return {"epoch": 3}

    def set_extra_state(self, state: Any) -> None:
        pass


class NeverUsedLazy(Linear):
    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = nn.LazyLinear(classes)


class FailsInTraining(Linear):
    def forward(self, images: Tensor) -> Any:
        if self.training:
            raise AttributeError("no such thing")
        return super().forward(images)


class NothingInTraining(Linear):
    def forward(self, images: Tensor) -> Any:
        return None if self.training else super().forward(images)


class FeaturesFirst(Linear):
    def forward(self, images: Tensor) -> Any:
        logits = super().forward(images)
        return (images.flatten(1), logits) if self.training else logits


class Lazy(nn.Module):
    """Sound: its shapes are known after the first images."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.fc = nn.LazyLinear(classes)
        self.norm = nn.BatchNorm1d(classes)

    def forward(self, images: Tensor) -> Any:
        return self.norm(self.fc(images.flatten(1)))


class Auxiliary(Linear):
    """Sound: as GoogLeNet and distilled DeiT."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.aux = nn.Linear(64, classes)
        self.norm = nn.BatchNorm1d(classes)
        self.dropout = nn.Dropout()

    def forward(self, images: Tensor) -> Any:
        logits = self.dropout(self.norm(super().forward(images)))
        return (logits, self.aux(images.flatten(1))) if self.training else logits
