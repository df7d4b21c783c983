"""A small decoder of random weights, large enough to lose something in four bits, and texts for it."""

from __future__ import annotations

import torch
from torch import nn

from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.models.text_decoder import text_decoder

VOCABULARY, LENGTH, WIDTH = 96, 12, 48
INTERFACE = Interface(
    (
        Tensor("text", "int64", ("batch", "text_length"), "index", VOCABULARY),
        Tensor("text_mask", "int64", ("batch", "text_length"), "mask"),
    ),
    (Tensor("logits", "float32", ("batch", "text_length", VOCABULARY), "logits", 0, 2),),
    (Axis("batch"), Axis("text_length", 1, LENGTH, 32)),
    {"vocabulary": VOCABULARY, "longest": 32},
)


def decoder() -> nn.Module:
    """Two layers of width 48: blocks of 32 divide only the inner width of 192."""
    torch.manual_seed(0)
    model = text_decoder(vocabulary=VOCABULARY, longest=32, layers=2, width=WIDTH, heads=4).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def texts(count: int = 6) -> list[Inputs]:
    """So many batches of 16 texts."""
    random = torch.Generator().manual_seed(1)
    drawn = [torch.randint(VOCABULARY, (16, LENGTH), generator=random) for _ in range(count)]
    return [(tokens, torch.ones_like(tokens)) for tokens in drawn]
