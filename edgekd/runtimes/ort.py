"""ONNX Runtime, CPU: no build step, the ONNX file is the engine."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd import admission
from edgekd.runtime import Precision
from edgekd.runtime import Runtime
from edgekd.runtime import Session
from edgekd.runtime import Tensor
from edgekd.runtime import not_installed

if TYPE_CHECKING:
    import numpy as np

MODEL = "model.onnx"
ONLY_ERRORS = 3
DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}
SHORT = {"FLOAT": "f32", "FLOAT16": "f16", "BFLOAT16": "bf16", "DOUBLE": "f64", "BOOL": "bool"}
SHORT |= {
    f"{sign}INT{bits}": f"{sign.lower() or 'i'}{bits}"
    for sign in ("", "U")
    for bits in (8, 16, 32, 64)
}


def why_not() -> str | None:
    """None if usable here, else one line that says what is missing."""
    if importlib.util.find_spec("onnxruntime") is None:
        return not_installed("onnxruntime", "onnxruntime")
    return None


def precisions() -> tuple[Precision, ...]:
    """fp32; and bf16 matrix products on an aarch64 CPU that has the instructions."""
    if platform.machine() == "aarch64":
        cpuinfo = Path("/proc/cpuinfo")
        if cpuinfo.exists() and " bf16" in cpuinfo.read_text(errors="replace"):
            return ("fp32", "bf16")
    return ("fp32",)


def build(onnx: Path, folder: Path, precision: Precision) -> dict[str, Path]:
    """A copy of the ONNX file; precision is an option of the session.

    Raises:
        InputError: if it is no readable file.
        ValueError: if the precision is not offered here, or the file is not admitted.
    """
    admission.admit(onnx)
    if precision not in precisions():
        raise ValueError(f"precision: got {precision!r}, want one of {', '.join(precisions())}")
    shutil.copyfile(onnx, folder / MODEL)
    return {MODEL: folder / MODEL}


class _Session:
    """One InferenceSession with everything that changes its speed said out loud."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.inputs = tuple(_tensor(node) for node in session.get_inputs())

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """One synchronous inference."""
        outputs: list[np.ndarray] = self._session.run(None, feeds)
        return outputs


def load(files: Mapping[str, Path], precision: Precision, threads: int) -> Session:
    """A session on `threads` threads, graph optimization ALL, no parallel branches.

    Raises:
        ValueError: if ONNX Runtime refuses the model, or an input has no fixed rank or known type.
    """
    return _Session(_open(files[MODEL], options(precision, threads)))


def options(precision: Precision, threads: int) -> Any:
    """SessionOptions; spinning is on where a second thread exists to be woken."""
    import onnxruntime

    chosen = onnxruntime.SessionOptions()
    chosen.log_severity_level = ONLY_ERRORS
    chosen.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    chosen.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    chosen.intra_op_num_threads = threads
    chosen.inter_op_num_threads = 1
    spinning = "1" if threads > 1 else "0"
    chosen.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    if precision == "bf16":
        chosen.add_session_config_entry("mlas.enable_gemm_fastmath_arm64_bfloat16", "1")
    return chosen


def _open(model: Path, chosen: Any) -> Any:
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(str(model), chosen, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base but this
        raise ValueError(f"ONNX Runtime refuses {model.name}: {error}") from error


def _tensor(node: Any) -> Tensor:
    if node.type not in DTYPES or node.shape is None:
        raise ValueError(f"input {node.name!r}: got {node.type} {node.shape}, want a known type")
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in node.shape)
    return Tensor(node.name, DTYPES[node.type], shape)


def kernels(files: Mapping[str, Path], precision: Precision) -> dict[str, int]:
    """Operators of the optimized graph, each with the element type of its first input."""
    import onnx

    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        chosen = options(precision, 1)
        chosen.optimized_model_filepath = str(Path(folder) / MODEL)
        _open(files[MODEL], chosen)
        graph = onnx.load(chosen.optimized_model_filepath).graph
    return count(graph)


def count(graph: Any) -> dict[str, int]:
    """``{"Conv f32": 9}``, most frequent first.

    ONNX Runtime's own operators have no shape inference, so an unknown output is taken to have the
    element type of its node's first input, which holds for all that compute.
    """
    import onnx

    elements = {value.name: value.data_type for value in graph.initializer}
    for value in [*graph.input, *graph.output, *graph.value_info]:
        elements[value.name] = value.type.tensor_type.elem_type
    counted: Counter[str] = Counter()
    for node in graph.node:
        element = next((elements[name] for name in node.input if name in elements), 0)
        name = onnx.TensorProto.DataType.Name(element)
        counted[f"{node.op_type} {SHORT.get(name, name.lower())}"] += 1
        for output in node.output:
            elements.setdefault(output, _given_type(node, elements, element))
    return dict(counted.most_common())


def _given_type(node: Any, elements: Mapping[str, int], element: int) -> int:
    if node.op_type == "QuantizeLinear" and len(node.input) > 2:
        return elements.get(node.input[2], element)
    if node.op_type == "DequantizeLinear":
        return elements.get(node.input[1], element)
    if node.op_type == "Cast":
        return next((a.i for a in node.attribute if a.name == "to"), element)
    return element


RUNTIME = Runtime(
    name="onnxruntime",
    modules=("numpy", "onnxruntime"),
    extra="onnxruntime",
    distribution="onnxruntime",
    why_not=why_not,
    precisions=precisions,
    build=build,
    load=load,
    kernels=kernels,
)
