"""OpenVINO, CPU: the ONNX file becomes an IR (`model.xml` and `model.bin`), weights kept in float."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import math
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd import admission
from edgekd.islands import layers
from edgekd.runtime import Inference
from edgekd.runtime import Precision
from edgekd.runtime import Runtime
from edgekd.runtime import Session
from edgekd.runtime import Shapes
from edgekd.runtime import Tensor
from edgekd.runtime import not_installed

if TYPE_CHECKING:
    import numpy as np

# `import openvino` reports itself to its makers from a thread that forks, in the midst of what is
# measured; without this module it falls back to a sender that does nothing
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

GRAPH, WEIGHTS = "model.xml", "model.bin"
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
"""Int8 is in the file; the hint is for what is not quantized in it."""
LARGEST_OUTPUTS_BYTES = 2**20
"""Of one inference, up to which each input that is bound has outputs of its own."""
CAPABILITIES: dict[Precision, str] = {
    "fp32": "FP32",
    "bf16": "BF16",
    "fp16": "FP16",
    "int8": "INT8",
}


def why_not() -> str | None:
    """None if usable here, else one line that says what is missing."""
    if importlib.util.find_spec("openvino") is None:
        return not_installed("openvino", "openvino")
    return None


def precisions() -> tuple[Precision, ...]:
    """Those the CPU plugin names; it would take another hint too, and quietly run something else."""
    import openvino

    offered = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return tuple(name for name, word in CAPABILITIES.items() if word in offered)


def build(onnx: Path, folder: Path, precision: Precision) -> dict[str, Path]:
    """The IR of an ONNX file, whatever the precision; a fresh process makes the same bytes again.

    Names it makes up are numbered through the process, so a second build in one differs in them.

    Raises:
        InputError: if it is no readable file.
        ValueError: if the precision is not offered here, or the file is not admitted or refused.
    """
    import openvino

    admission.admit(onnx)

    if precision not in precisions():
        raise ValueError(f"precision: got {precision!r}, want one of {', '.join(precisions())}")
    try:
        # from bytes: a blob in the store has no suffix to tell the format by
        model = openvino.Core().read_model(onnx.read_bytes(), b"")
        openvino.save_model(model, str(folder / GRAPH), compress_to_fp16=False)
    except RuntimeError as error:
        raise ValueError(f"OpenVINO refuses {onnx.name}: {_first_line(error)}") from error
    return {GRAPH: folder / GRAPH, WEIGHTS: folder / WEIGHTS}


class _Session:
    """One infer request of one stream."""

    def __init__(self, compiled: Any) -> None:
        import openvino

        self._wrap = openvino.Tensor
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self._outputs = range(len(compiled.outputs))
        self.inputs = tuple(_tensor(port) for port in compiled.inputs)
        self.output_names = tuple(port.any_name for port in compiled.outputs)
        self._names = [tensor.name for tensor in self.inputs]
        self._bindable = _bytes(compiled.outputs) <= LARGEST_OUTPUTS_BYTES
        self._is_free = math.isinf(_bytes(compiled.inputs))

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """One synchronous inference; inputs are read in place, outputs copied out."""
        return [output.copy() for output in self._run_shared(feeds)]

    def bind(self, feeds: Mapping[str, np.ndarray]) -> Inference:
        """A request of its own, so that nothing but the inference itself is called.

        The common one where a request's outputs take much memory, or their sizes are known only
        after it: there, handing tensors over costs nothing beside the rest.
        """
        import openvino

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
        if not self._is_free:
            self._request.infer(share_outputs=True)
            return self._get_outputs(self._request)
        return self._run_free()

    def _run_free(self) -> list[np.ndarray]:
        """On one thread OpenVINO 2026.4 gives no error for sizes that a graph cannot take, and leaves what was
        answered before: that is wiped out first, so that it can be told.

        Raises:
            ValueError: if nothing was answered.
        """
        for output in _floats(self._get_outputs(self._request)):
            output.fill(math.nan)
        self._request.infer(share_outputs=True)
        outputs = self._get_outputs(self._request)
        if any(output.size and (output != output).all() for output in _floats(outputs)):
            raise ValueError("OpenVINO gives no numbers for inputs of these sizes")
        return outputs

    def _get_outputs(self, request: Any) -> list[np.ndarray]:
        """Views, not copies."""
        return [request.get_output_tensor(index).data for index in self._outputs]

    def _set_inputs(self, request: Any, feeds: Mapping[str, np.ndarray]) -> None:
        for index, name in enumerate(self._names):
            request.set_input_tensor(index, self._wrap(feeds[name], shared_memory=True))


def load(
    files: Mapping[str, Path],
    precision: Precision,
    threads: int,
    *,
    batch: int | None = None,
    shapes: Shapes | None = None,
) -> Session:
    """A model compiled for one stream on `threads` threads, latency first, for `shapes` or `batch` rows.

    Raises:
        ValueError: if OpenVINO refuses the model, or an input has no fixed rank or known type.
    """
    return _Session(_compile(files, precision, threads, batch, shapes))


def _compile(
    files: Mapping[str, Path],
    precision: Precision,
    threads: int,
    batch: int | None,
    shapes: Shapes | None = None,
) -> Any:
    """For `shapes`, or `batch` rows, where it can be: with every shape known OpenVINO plans better
    (README of ``benchmarks/engines``). A graph that holds for any number of rows may still refuse one; sizes that
    it refuses are an error."""
    import openvino

    chosen = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        # pinning would fight the affinity a worker was given, and one thread needs none
        "ENABLE_CPU_PINNING": False,
    }
    try:
        core = openvino.Core()
        if batch is not None:
            model = core.read_model(str(files[GRAPH]), str(files[WEIGHTS]))
            if shapes:  # on one thread a free graph gives no error for sizes that it cannot take
                model.reshape(_shapes(model, batch, shapes))
            with contextlib.suppress(RuntimeError):
                model.reshape(_shapes(model, batch, shapes or {}))
                return core.compile_model(model, "CPU", chosen)
        model = core.read_model(str(files[GRAPH]), str(files[WEIGHTS]))
        return core.compile_model(model, "CPU", chosen)
    except RuntimeError as error:
        raise ValueError(f"OpenVINO refuses {files[GRAPH].name}: {_first_line(error)}") from error


def _bytes(ports: Any) -> float:
    """What the tensors of all ports take together; infinite where a shape is free."""
    if not all(port.get_partial_shape().is_static for port in ports):
        return math.inf
    return float(sum(math.prod(port.get_shape()) * port.get_element_type().size for port in ports))


def _floats(arrays: list[np.ndarray]) -> list[np.ndarray]:
    return [array for array in arrays if array.dtype.kind == "f"]


def _shapes(model: Any, batch: int, known: Shapes) -> dict[Any, Any]:
    """Every input's shape as it is known, or with `batch` in front, where the front is free."""
    found = {}
    for port in model.inputs:
        shape = port.get_partial_shape()
        whole = next((known[name] for name in port.get_names() if name in known), None)
        if whole is not None:
            shape = list(whole)
        elif not shape.rank.is_dynamic and len(shape) and shape[0].is_dynamic:
            shape[0] = batch
        found[port] = shape
    return found


def _tensor(port: Any) -> Tensor:
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic or port.get_element_type().is_dynamic():
        raise ValueError(f"input {port.any_name!r}: got {shape}, want a fixed rank and type")
    sizes = tuple(None if size.is_dynamic else size.get_length() for size in shape)
    return Tensor(port.any_name, str(port.get_element_type().to_dtype()), sizes)


def kernels(files: Mapping[str, Path], precision: Precision) -> dict[str, int]:
    """Layers of the CPU plugin's own graph that compute, each with its run-time precision."""
    counted = Counter(
        f"{layer.kind} {layer.precision}"
        for layer in _layers(files, precision)
        if layer.kind not in layers.STORED
    )
    return dict(counted.most_common())


def islands(files: Mapping[str, Path], precision: Precision) -> list[dict[str, str]]:
    """Layers that compute in float between int8 ones; none unless the precision is int8."""
    if precision != "int8":
        return []
    import openvino

    model = openvino.Core().read_model(str(files[GRAPH]), str(files[WEIGHTS]))
    return layers.find(
        _layers(files, precision),
        {op.get_friendly_name(): _operation(op) for op in model.get_ordered_ops()},
    )


def _layers(files: Mapping[str, Path], precision: Precision) -> list[layers.GraphLayer]:
    found = []
    for one in _compile(files, precision, 1, 1).get_runtime_model().get_ordered_ops():
        facts = {name: value.astype(str) for name, value in one.get_rt_info().items()}
        origins = tuple(filter(None, facts.get("originalLayersNames", "").split(",")))
        found.append(
            layers.GraphLayer(
                one.get_friendly_name(),
                facts["layerType"],
                facts["runtimePrecision"],
                _inputs(one),
                origins,
            )
        )
    return found


def _operation(op: Any) -> layers.Operation:
    element = op.get_output_element_type(0).get_type_name() if op.get_output_size() else ""
    return layers.Operation(op.get_type_name(), _inputs(op), element)


def _inputs(node: Any) -> tuple[str, ...]:
    return tuple(port.get_source_output().get_node().get_friendly_name() for port in node.inputs())


def _first_line(error: Exception) -> str:
    """OpenVINO's last line says what is wrong; those before it say where in its sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


RUNTIME = Runtime(
    name="openvino",
    modules=("numpy", "openvino"),
    extra="openvino",
    distribution="openvino",
    why_not=why_not,
    precisions=precisions,
    build=build,
    load=load,
    kernels=kernels,
    islands=islands,
)
