"""Layers that losses would pool are stored whole where a recipe says so."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edgekd.learn.knowledge.layers import StoredLayer
from edgekd.learn.knowledge.layers import StoredLayers
from edgekd.learn.training import storing


def test_a_pooled_layer_is_widened_to_what_passes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = nn.Sequential(nn.Conv2d(1, 3, 1), nn.Flatten(), nn.Linear(48, 2))

    def ask(teacher: nn.Module, *_: Any) -> None:
        teacher(torch.zeros(5, 1, 4, 4))

    monkeypatch.setattr(storing, "_time_answer", ask)
    tapped = StoredLayer("0", (3,), True), StoredLayer("2:input", (48,), False)
    unused: Any = None
    layers = StoredLayers(("0",), "2:input", tapped)
    found = storing._widen_layers(layers, teacher, unused, unused)
    widened = StoredLayer("0", (3, 4, 4), False)
    assert found == layers._replace(tapped=(widened, tapped[1]))
