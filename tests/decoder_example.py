"""A tiny decoder as a file, and its states between calls."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgekd.interface import BATCH
from edgekd.interface import PAST
from edgekd.interface import PRESENT
from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.learn.cache import with_cache
from edgekd.learn.export import to_onnx
from edgekd.learn.models.text_decoder import text_decoder

VOCABULARY, LONGEST, LAYERS, WIDTH, HEADS = 40, 24, 2, 16, 2
Arrays = dict[str, NDArray[Any]]


def interface() -> Interface:
    """What the data say of it."""
    shape = (BATCH, "text_length")
    ends = (
        Tensor("text", "int64", shape, "index", below=VOCABULARY),
        Tensor("text_mask", "int64", shape, "mask"),
    )
    logits = Tensor("logits", "float32", (*shape, VOCABULARY), "logits", 0, 2)
    axes = (Axis(BATCH), Axis("text_length", 1, 8, LONGEST))
    return Interface(ends, (logits,), axes)


def decoder() -> nn.Module:
    """With weights that tell tokens and places apart."""
    torch.manual_seed(3)
    model = text_decoder(
        vocabulary=VOCABULARY, longest=LONGEST, layers=LAYERS, width=WIDTH, heads=HEADS
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


def write(path: Path, model: nn.Module) -> Path:
    """The file that goes on from its states."""
    deployed, ends = with_cache(model, interface())
    return to_onnx.write(deployed, path, ends)


def texts(lengths: tuple[int, ...], *, left: bool = False) -> Arrays:
    """Tokens and mask of texts of these lengths, padded on the right, or on the left."""
    longest = max(lengths)
    random = np.random.default_rng(5)
    mask = (np.arange(longest) < np.array(lengths)[:, None]).astype(np.int64)
    if left:
        mask = mask[:, ::-1].copy()
    return {"text": random.integers(1, VOCABULARY, mask.shape) * mask, "text_mask": mask}


def empty_states(count: int) -> Arrays:
    """Of no token."""
    names = [f"{PAST}{layer}.{part}" for layer in range(LAYERS) for part in ("key", "value")]
    empty = np.zeros((count, HEADS, 0, WIDTH // HEADS), np.float32)
    return dict.fromkeys(names, empty)


def next_states(outputs: Arrays) -> Arrays:
    """What the next call takes back."""
    return {
        name.replace(PRESENT, PAST, 1): array
        for name, array in outputs.items()
        if name.startswith(PRESENT)
    }


def answer_in_pieces(
    run: Callable[[Arrays], Arrays], feeds: Arrays, pieces: Sequence[int]
) -> list[Arrays]:
    """What a file gives to texts of which each call takes some tokens, and the states of the call before."""
    answers, states, at = [], empty_states(len(feeds["text"])), 0
    for count in pieces:
        call = {
            "text": feeds["text"][:, at : at + count].copy(),
            "text_mask": feeds["text_mask"][:, : at + count].copy(),
        }
        answers.append(run({**call, **states}))
        states, at = next_states(answers[-1]), at + count
    return answers
