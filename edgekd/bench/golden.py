"""Golden inputs and the answers they must get, as the export wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError

if TYPE_CHECKING:
    import numpy as np


class Golden(NamedTuple):
    """Distinct samples and the trained model's own logits on them."""

    inputs: np.ndarray
    """float32 [N, C, H, W], preprocessed."""
    outputs: np.ndarray
    """float32 [N, classes]."""
    pixels: np.ndarray | None = None
    """uint8 [M, H, W, C], what the first M inputs were made of; None in a file that has none."""


def read(path: Path) -> Golden:
    """The golden samples of a safetensors file.

    Raises:
        InputError: if it is no such file or lacks one of the two tensors.
    """
    from safetensors.numpy import load

    with files.open_regular(path) as file:
        data = file.read()
    try:
        tensors = load(data)
        return Golden(tensors["inputs"], tensors["outputs"], tensors.get("pixels"))
    except Exception as error:  # its parser and numpy's share no base
        raise InputError(
            f"{path}: got {error}, want safetensors with `inputs` and `outputs`"
        ) from error


def write_inputs(golden: Golden, path: Path) -> Path:
    """Its inputs as the .npy file a worker reads; scratch, not kept."""
    import numpy as np

    np.save(path, golden.inputs, allow_pickle=False)
    return path
