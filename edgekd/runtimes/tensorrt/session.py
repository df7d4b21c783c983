"""A loaded engine: inputs copied to the device, one launch, outputs copied back."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from edgekd.runtime import EngineInput
from edgekd.runtime import Inference
from edgekd.runtimes.tensorrt.cuda import Cuda

if TYPE_CHECKING:
    import numpy as np

DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "BOOL": "bool",
}


class TensorRtSession:
    """One execution context on one stream. What it times is what a caller waits for: copies too."""

    def __init__(self, engine: Any, cuda: Cuda, owner: Any = None) -> None:
        """Args:
        engine: an `ICudaEngine`.
        owner: what has to live as long as it does, the `Runtime` that read it.
        cuda: the stream it runs on and the memory it uses.

        Raises:
            ValueError: if a tensor has an element type that numpy lacks.
        """
        self._engine, self._cuda, self._owner = engine, cuda, owner
        self._context = engine.create_execution_context()
        if self._context is None:
            raise ValueError("TensorRT makes no execution context: not enough device memory")
        names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
        tensors = [_tensor(engine, name) for name in names]
        is_input = [engine.get_tensor_mode(name).name == "INPUT" for name in names]
        self.inputs = tuple(t for t, yes in zip(tensors, is_input, strict=True) if yes)
        self._outputs = tuple(t for t, yes in zip(tensors, is_input, strict=True) if not yes)
        self.output_names = tuple(tensor.name for tensor in self._outputs)
        self._buffers: dict[str, tuple[int, int]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """One synchronous inference.

        Raises:
            ValueError: if a shape is outside what the engine was built for, or the device fails.
        """
        import numpy as np

        for tensor in self.inputs:
            array = feeds[tensor.name]
            self._shape(tensor.name, array.shape)
            self._cuda.send(array, self._buffer(tensor.name, array.nbytes))
        outputs = []
        for tensor in self._outputs:
            shape = tuple(self._context.get_tensor_shape(tensor.name))
            outputs.append(np.empty(shape, tensor.dtype))
            self._buffer(tensor.name, outputs[-1].nbytes)
        if not self._context.execute_async_v3(self._cuda.stream):
            raise ValueError("TensorRT does not run the engine")
        for tensor, array in zip(self._outputs, outputs, strict=True):
            self._cuda.fetch(self._buffers[tensor.name][0], array)
        self._cuda.wait()
        return outputs

    def bind(self, feeds: Mapping[str, np.ndarray]) -> Inference:
        """As `run`: its buffers on the device are reused already."""
        return functools.partial(self.run, feeds)

    def _shape(self, name: str, shape: tuple[int, ...]) -> None:
        if self._shapes.get(name) == shape:
            return
        if not self._context.set_input_shape(name, shape):
            least, _, most = self._engine.get_tensor_profile_shape(name, 0)
            raise ValueError(
                f"input {name!r}: got {shape}, want {tuple(least)} to {tuple(most)}, "
                "which the engine was built for"
            )
        self._shapes[name] = shape

    def _buffer(self, name: str, size_bytes: int) -> int:
        """Return where a tensor lies on the device; memory only grows."""
        address, held = self._buffers.get(name, (0, 0))
        if held < size_bytes or not address:
            if address:
                self._cuda.release(address)
            address = self._cuda.reserve(max(1, size_bytes))
            self._buffers[name] = address, size_bytes
            self._context.set_tensor_address(name, address)
        return address


def _tensor(engine: Any, name: str) -> EngineInput:
    element = engine.get_tensor_dtype(name).name
    if element not in DTYPES:
        raise ValueError(f"tensor {name!r}: got {element}, want an element type numpy has")
    shape = tuple(size if size > 0 else None for size in engine.get_tensor_shape(name))
    return EngineInput(name, DTYPES[element], shape)
