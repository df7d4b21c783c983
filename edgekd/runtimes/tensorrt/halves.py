"""A float32 network made a float16 one: weights and casts changed, inputs and outputs left as they were.

A strongly typed network computes in the types of its weights; TensorRT for RTX has no other kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from edgekd.runtimes.tensorrt.library import LoadedLibrary

if TYPE_CHECKING:
    import numpy as np

WEIGHTED: dict[str, tuple[str, tuple[str, ...]]] = {
    "CONVOLUTION": ("IConvolutionLayer", ("kernel", "bias")),
    "DECONVOLUTION": ("IDeconvolutionLayer", ("kernel", "bias")),
    "SCALE": ("IScaleLayer", ("shift", "scale", "power")),
    "CONSTANT": ("IConstantLayer", ("weights",)),
}
"""Kinds of layers that hold weights: the class that shows them, and what they are called there."""


def halve(opened: LoadedLibrary, network: Any) -> list[np.ndarray]:
    """Make every float32 product of `network` a float16 one.

    Returns:
        The new weights; TensorRT reads them in place, so they have to live until the engine is built.

    Raises:
        ValueError: if a weight is beyond float16's range; names its layer.
    """
    module = opened.module
    kept: list[np.ndarray] = []
    layers = [network.get_layer(number) for number in range(network.num_layers)]
    for layer in layers:
        if layer.type.name in WEIGHTED:
            class_name, names = WEIGHTED[layer.type.name]
            layer.__class__ = getattr(module, class_name)  # how its Python interface casts down
            kept += _halved(layer, names)
        elif layer.type == module.LayerType.CAST:
            layer.__class__ = module.ICastLayer
            if layer.to_type == module.float32:
                layer.to_type = module.float16
    for number in range(network.num_inputs):
        _enter(module, network, network.get_input(number), layers)
    for tensor in [network.get_output(number) for number in range(network.num_outputs)]:
        _leave(module, network, tensor)
    return kept


def _halved(layer: Any, names: tuple[str, ...]) -> list[np.ndarray]:
    import numpy as np

    kept = []
    for name in names:
        held = getattr(layer, name)
        array = np.asarray(held) if isinstance(held, np.ndarray) else None
        if array is None or array.dtype != np.float32 or not array.size:
            continue
        with np.errstate(over="ignore"):
            half = np.ascontiguousarray(array.astype(np.float16))
        if not np.isfinite(half).all():
            raise ValueError(f"{layer.name}: got a weight beyond float16's 65504, want fp32")
        setattr(layer, name, half)
        kept.append(half)
    return kept


def _enter(module: Any, network: Any, tensor: Any, layers: list[Any]) -> None:
    """Cast an input, and give the cast to all that read the input."""
    if tensor.dtype != module.float32:
        return
    cast = network.add_cast(tensor, module.float16)
    cast.name = f"{tensor.name}/to float16"
    for layer in layers:
        for number in range(layer.num_inputs):
            read = layer.get_input(number)
            if read is not None and read.name == tensor.name:
                layer.set_input(number, cast.get_output(0))


def _leave(module: Any, network: Any, tensor: Any) -> None:
    """Cast an output back, under its name."""
    if tensor.dtype != module.float16:
        return
    name = tensor.name
    network.unmark_output(tensor)
    tensor.name = f"{name}/float16"
    cast = network.add_cast(tensor, module.float32)
    cast.name = f"{name}/to float32"
    cast.get_output(0).name = name
    network.mark_output(cast.get_output(0))
