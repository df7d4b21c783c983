"""The tensors of a GGUF file as torch has them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from edgekd.errors import InputError
from edgekd.learn.gguf.model import read_model
from edgekd.learn.gguf.reading import read_head


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors in float32 under their names in transformers.

    Raises:
        InputError: as `read_head` and `read_model`, or if a number is none.
    """
    found = {name: torch.from_numpy(values) for name, values in read_model(read_head(path))}
    for name, tensor in found.items():
        if not torch.isfinite(tensor).all():
            raise InputError(f"{path}: {name[:80]}: got NaN or infinity, want finite weights")
    return found
