"""A loaded OpenVINO model: one infer request of one stream."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from edgekd.runtime import EngineInput
from edgekd.runtime import Inference

if TYPE_CHECKING:
    import numpy as np

LARGEST_OUTPUTS_BYTES = 2**20
"""Of one inference, up to which each input that is bound has outputs of its own."""


class OpenVinoSession:
    """One infer request of one stream."""

    def __init__(self, compiled: Any, output_names: tuple[str, ...]) -> None:
        import openvino

        self._wrap = openvino.Tensor
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self._outputs = range(len(compiled.outputs))
        self.inputs = tuple(_tensor(port) for port in compiled.inputs)
        self.output_names = output_names
        self._names = [tensor.name for tensor in self.inputs]
        self._is_free = math.isinf(_bytes(compiled.inputs))
        self._bindable = _bytes(compiled.outputs) <= LARGEST_OUTPUTS_BYTES

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """One synchronous inference; inputs are read in place, outputs copied out."""
        run = self._run_checked if self._is_free else self._run_shared
        return [output.copy() for output in run(feeds)]

    def bind(self, feeds: Mapping[str, np.ndarray]) -> Inference:
        """A request of its own, so that nothing but the inference itself is called.

        The common one where a request's outputs take much memory, or their sizes are known only
        after it: there, handing tensors over costs nothing beside the rest.

        Raises:
            ValueError: if the sizes of a graph are free and it cannot take these.
        """
        import openvino

        if self._is_free:
            self._run_checked(feeds)
        if not self._bindable:
            return functools.partial(self._run_shared, feeds)
        request = self._compiled.create_infer_request()
        self._set_inputs(request, feeds)
        outputs = self._get_outputs(request)
        # the class below the public one, whose `infer` makes a dictionary of all outputs (2 us)
        infer = functools.partial(openvino.InferRequest.__mro__[1].infer, request, {}, True, False)

        def inference() -> list[np.ndarray]:
            infer()
            return outputs

        return inference

    def _run_shared(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        self._set_inputs(self._request, feeds)
        self._request.infer(share_outputs=True)
        return self._get_outputs(self._request)

    def _run_checked(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """On one thread `infer` of OpenVINO 2026.4 gives no error for sizes that a graph cannot take, and leaves
        what was answered before; a request that is started and waited for does. It takes no others afterwards.

        Raises:
            ValueError: if it cannot take them.
        """
        self._set_inputs(self._request, feeds)
        try:
            self._request.start_async()
            self._request.wait()
        except RuntimeError as error:
            lines = str(error).strip().splitlines()  # the last says what is wrong
            raise ValueError(f"OpenVINO takes no inputs of these sizes: {lines[-1]}") from error
        return self._get_outputs(self._request)

    def _get_outputs(self, request: Any) -> list[np.ndarray]:
        """Views, not copies."""
        return [request.get_output_tensor(index).data for index in self._outputs]

    def _set_inputs(self, request: Any, feeds: Mapping[str, np.ndarray]) -> None:
        for index, name in enumerate(self._names):
            request.set_input_tensor(index, self._wrap(feeds[name], shared_memory=True))


def _bytes(ports: Any) -> float:
    """Return what the tensors of all ports take together; infinite where a shape is free."""
    if not all(port.get_partial_shape().is_static for port in ports):
        return math.inf
    return float(sum(math.prod(port.get_shape()) * port.get_element_type().size for port in ports))


def _tensor(port: Any) -> EngineInput:
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic or port.get_element_type().is_dynamic():
        raise ValueError(f"input {port.any_name!r}: got {shape}, want a fixed rank and type")
    sizes = tuple(None if size.is_dynamic else size.get_length() for size in shape)
    return EngineInput(port.any_name, str(port.get_element_type().to_dtype()), sizes)
