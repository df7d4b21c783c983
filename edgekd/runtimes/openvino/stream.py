"""A text whose keys and values stay inside OpenVINO, as variables of the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from edgekd.interface import PAST
from edgekd.interface import PRESENT
from edgekd.runtimes.openvino.attention import BEAM
from edgekd.runtimes.openvino.attention import fuse_attention
from edgekd.runtimes.openvino.attention import keep_in_place

if TYPE_CHECKING:
    import numpy as np

ATTENTION = "ScaledDotProductAttention"
"""OpenVINO's operator; its layer with a cache is called so, too."""


def make_stateful(model: Any, *, fused: bool = False) -> bool:
    """Let a model keep its states, in place; whether it has any, and can be written as is asked.

    Args:
        model: its inputs and outputs are states, too.
        fused: whether attention and its states become one operator.

    The batch is fixed to 1 before: with a free one the variables begin with a batch of 0, and answers are empty without
    a word (OpenVINO 2026.4).
    """
    from openvino._offline_transformations import apply_make_stateful_transformation

    names = [port.any_name for port in model.inputs if port.any_name.startswith(PAST)]
    if not names:
        return False
    shapes = {}
    for port in model.inputs:
        shape = port.get_partial_shape()
        shape[0] = 1
        shapes[port] = shape
    model.reshape(shapes)
    if fused and not fuse_attention(model, len(names)):
        return False
    pairs = {name: f"{PRESENT}{name.removeprefix(PAST)}" for name in names}
    apply_make_stateful_transformation(model, pairs)
    if fused:
        keep_in_place(model)
    return True


class StateStream:
    """A stream of a model with variables; `fused` where attention keeps them."""

    def __init__(self, compiled: Any, *, fused: bool = False) -> None:
        import numpy as np
        import openvino

        self._wrap = openvino.Tensor
        self._compiled, self._fused = compiled, fused
        self._request = compiled.create_infer_request()
        names = [port.any_name for port in compiled.inputs]
        if BEAM in names:
            names.remove(BEAM)
            self._request.set_tensor(BEAM, openvino.Tensor(np.zeros(1, np.int32)))
        self._text, self._mask = names
        self.length = 0

    def describe(self) -> dict[str, str]:
        """``attention`` and ``cache``, as the compiled graph has them."""
        nodes = self._compiled.get_runtime_model().get_ordered_ops() if self._fused else ()
        layers = [
            {
                name: node.get_rt_info()[name].astype(str)
                for name in ("layerType", "runtimePrecision")
            }
            for node in nodes
        ]
        found = [each for each in layers if ATTENTION in each["layerType"]]
        if not found:
            hint = self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
            return {"attention": f"separate operators {hint}", "cache": "f32"}
        cache = self._compiled.get_property("KV_CACHE_PRECISION").get_type_name()
        return {"attention": f"{ATTENTION} {found[0]['runtimePrecision']}", "cache": cache}

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """The logits [V] behind tokens [N].

        Raises:
            ValueError: if the engine cannot take so many.
        """
        import numpy as np

        whole = self.length + len(tokens)
        text = np.ascontiguousarray(tokens.reshape(1, -1))
        mask = np.ones((1, whole), np.int64)
        self._request.set_tensor(self._text, self._wrap(text, shared_memory=True))
        self._request.set_tensor(self._mask, self._wrap(mask, shared_memory=True))
        try:
            self._request.start_async()  # `infer` gives no error for sizes that a graph cannot take
            self._request.wait()
        except RuntimeError as error:
            last = str(error).strip().splitlines()[-1]
            raise ValueError(f"OpenVINO takes no text of {whole} tokens: {last}") from error
        self.length = whole
        logits: np.ndarray = self._request.get_output_tensor(0).data[0, -1]
        return logits

    def rewind(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        import numpy as np

        self.length = length
        if not length:
            self._request.reset_state()
            return
        for state in self._request.query_state():
            state.state = self._wrap(np.ascontiguousarray(state.state.data[:, :, :length]))
