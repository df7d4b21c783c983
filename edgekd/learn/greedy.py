"""The likeliest text of a trained decoder, which its engines must write, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import torch
from torch import nn

from edgekd.interface import BATCH
from edgekd.interface import Interface

if TYPE_CHECKING:
    from edgekd.field import Arrays

WRITTEN = 16
"""Tokens of a golden text, and of its prompt."""


def write_golden_text(model: nn.Module, inputs: Arrays, interface: Interface) -> dict[str, Any]:
    """The fields of `edgekd.bundle.generation.GoldenText`: what a decoder writes behind the first sample's beginning.

    Args:
        model: the decoder.
        inputs: samples as it takes them.
        interface: what it takes and gives.
    """
    (text,) = (end.name for end in interface.inputs if end.kind == "index")
    longest = next(axis.most for axis in interface.axes if axis.name != BATCH)
    start = inputs[text][0][: max(1, min(WRITTEN, longest // 2))].tolist()
    tokens, margins = write_greedy(model, start, max(1, min(WRITTEN, longest - len(start))))
    return {"longest": longest, "prompt": start, "tokens": tokens, "margins": margins}


def write_greedy(
    model: nn.Module, prompt: Sequence[int], count: int
) -> tuple[list[int], list[float]]:
    """Write `count` tokens behind a prompt, each the likeliest, over the whole text each time.

    Returns:
        The tokens, and how much the logit of each is above the next likeliest.
    """
    tokens, margins = list(prompt), []
    with torch.no_grad():
        for _ in range(count):
            text = torch.tensor([tokens])
            logits = model(text, torch.ones_like(text))[0, -1]
            token = int(logits.argmax())
            logits, own = logits.clone(), float(logits[token])
            logits[token] = -torch.inf
            margins.append(own - float(logits.max()))
            tokens.append(token)
    return tokens[len(prompt) :], margins
