"""A decoder as one file of fused operators, or why there is none."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from edgekd.errors import InputError
from edgekd.interface import Interface
from edgekd.learn.cache import with_cache
from edgekd.learn.export import to_onnx
from edgekd.learn.export.fused_decoder import FusedDecoder


def write(model: nn.Module, path: Path, interface: Interface, opset: int) -> str:
    """Write a decoder as fused operators; gives why that cannot be, or nothing.

    Args:
        model: what is exported.
        path: the file to write.
        interface: of the model.
        opset: of the file.

    Raises:
        MachineError: if the disk refuses.
    """
    try:
        deployed, extended = with_cache(FusedDecoder(model), interface)
        to_onnx.write(deployed, path, extended, opset=opset)
    except (ValueError, InputError) as error:
        return str(error)
    return ""
