"""ONNX Runtime, CPU: no build step, the ONNX file is the engine."""

from __future__ import annotations

import functools
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
from edgekd import graph
from edgekd.admission import weight_files
from edgekd.interface import LOGITS_TO_KEEP
from edgekd.islands import optimized_graph
from edgekd.runtime import EngineInput
from edgekd.runtime import Inference
from edgekd.runtime import Precision
from edgekd.runtime import Runtime
from edgekd.runtime import Session
from edgekd.runtime import Shapes
from edgekd.runtime import TextStream
from edgekd.runtime import not_installed
from edgekd.text_buffer import BufferStream

if TYPE_CHECKING:
    import numpy as np

MODEL = "model.onnx"
DETACHED_BYTES = 2**24
"""From this size on weights lie beside the graph, under their SHA-256: ONNX Runtime maps them and reads them there; of
those inside it makes a second copy while it opens the file (benchmarks/decoding/memory.json)."""
WEIGHT_FOLDER = "session.model_external_initializers_file_folder_path"
ONLY_ERRORS = 3
SLOW_FUSIONS = ("SkipLayerNormFusion",)
"""Rewrites of ONNX Runtime that make a graph slower on a CPU: an addition and a layer norm take a tenth of the time of the
operator made of both (measured: benchmarks/encoder_int8)."""
WORDS = "object"
DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint64)": "uint64",
    "tensor(uint32)": "uint32",
    "tensor(uint16)": "uint16",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
    "tensor(string)": WORDS,
}


def why_not() -> str | None:
    """None if usable here, else one line that says what is missing."""
    if importlib.util.find_spec("onnxruntime") is None:
        return not_installed("onnxruntime", "onnxruntime")
    return None


def precisions() -> tuple[Precision, ...]:
    """fp32, int8, int4; and bf16 matrix products on an aarch64 CPU that has the instructions."""
    if platform.machine() == "aarch64":
        cpuinfo = Path("/proc/cpuinfo")
        if cpuinfo.exists() and " bf16" in cpuinfo.read_text(errors="replace"):
            return ("fp32", "bf16", "int8", "int4")
    return ("fp32", "int8", "int4")


def build(onnx: Path, folder: Path, precision: Precision) -> dict[str, Path]:
    """A copy of the ONNX file, the weights of a large one beside its graph; precision is an option of the session.

    Raises:
        InputError: if it is no readable file.
        ValueError: if the precision is not offered here, or the file is not admitted.
    """
    admission.admit(onnx)
    if precision not in precisions():
        raise ValueError(f"precision: got {precision!r}, want one of {', '.join(precisions())}")
    goal = folder / MODEL
    if onnx.stat().st_size < DETACHED_BYTES:
        shutil.copyfile(onnx, goal)
        return {MODEL: goal}
    read, weights = weight_files.detach_weights(onnx, folder)
    goal.write_bytes(read)
    return {MODEL: goal, weights: folder / weights}


class _Session:
    """One InferenceSession with everything that changes its speed said out loud."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.inputs = tuple(_tensor(node) for node in session.get_inputs())
        self.output_names = tuple(node.name for node in session.get_outputs())
        self._answered: list[np.ndarray] = []

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """One synchronous inference."""
        outputs: list[np.ndarray] = self._session.run(None, feeds)
        return outputs

    def bind(self, feeds: Mapping[str, np.ndarray]) -> Inference:
        """An IOBinding; the plain call where the sizes of an output are known only after it."""
        import numpy as np

        if not self._knows_outputs(feeds):
            return functools.partial(self.run, feeds)
        outputs = [np.empty_like(output) for output in self._answered]
        binding = self._session.io_binding()
        for name, values in feeds.items():
            binding.bind_input(name, "cpu", 0, values.dtype, values.shape, values.ctypes.data)
        for node, values in zip(self._session.get_outputs(), outputs, strict=True):
            binding.bind_output(node.name, "cpu", 0, values.dtype, values.shape, values.ctypes.data)

        def inference(_held: Mapping[str, np.ndarray] = feeds) -> list[np.ndarray]:
            self._session.run_with_iobinding(binding)
            return outputs

        return inference

    def _knows_outputs(self, feeds: Mapping[str, np.ndarray]) -> bool:
        """Return whether `feeds` alone set the outputs' shapes, and all tensors are of numbers: each size is
        fixed or has an input's name, and one inference, the session's first, agrees."""
        if not self._answered:
            self._answered = self.run(feeds)
        nodes = [*self._session.get_inputs(), *self._session.get_outputs()]
        if any(node.type not in DTYPES or DTYPES[node.type] == WORDS for node in nodes):
            return False
        sizes: dict[Any, int] = {}
        for node in self._session.get_inputs():
            if len(node.shape) != feeds[node.name].ndim:  # its rank is not stated
                return False
            sizes.update(zip(node.shape, feeds[node.name].shape, strict=True))
        sizes.pop(None, None)  # free, and without a name
        return all(
            [sizes.get(size, size) for size in node.shape] == list(getattr(values, "shape", ()))
            for node, values in zip(self._session.get_outputs(), self._answered, strict=True)
        )


def load(
    files: Mapping[str, Path],
    precision: Precision,
    threads: int,
    *,
    batch: int | None = None,
    shapes: Shapes | None = None,
) -> Session:
    """A session on `threads` threads, graph optimization ALL, no parallel branches; ONNX Runtime
    gains nothing from a fixed `batch`.

    Raises:
        ValueError: if ONNX Runtime refuses the model, or an input has no fixed rank or known type.
    """
    return _Session(_open(files, make_options(precision, threads)))


def make_options(precision: Precision, threads: int) -> Any:
    """SessionOptions with everything that changes the speed said out loud."""
    import onnxruntime

    chosen = onnxruntime.SessionOptions()
    chosen.log_severity_level = ONLY_ERRORS
    chosen.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    chosen.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    chosen.intra_op_num_threads = threads
    chosen.inter_op_num_threads = 1
    spinning = "1" if spins(threads) else "0"
    chosen.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    slow = ";".join(SLOW_FUSIONS)
    chosen.add_session_config_entry("optimization.disable_specified_optimizers", slow)
    if precision == "bf16":
        chosen.add_session_config_entry("mlas.enable_gemm_fastmath_arm64_bfloat16", "1")
    return chosen


def spins(threads: int) -> bool:
    """Return whether idle threads spin: only where a second one exists to be woken."""
    return threads > 1


def _open(files: Mapping[str, Path], chosen: Any) -> Any:
    """A session; weights beside the graph are found where they truly lie, under their own name: it refuses links."""
    import onnxruntime

    beside = [path.resolve() for name, path in files.items() if name != MODEL]
    if beside:
        chosen.add_session_config_entry(WEIGHT_FOLDER, str(beside[0].parent))
    try:
        opened = files[MODEL].read_bytes() if beside else str(files[MODEL])
        return onnxruntime.InferenceSession(opened, chosen, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base but this
        raise ValueError(f"ONNX Runtime refuses {files[MODEL].name}: {error}") from error


def _tensor(node: Any) -> EngineInput:
    if node.type not in DTYPES or node.shape is None:
        raise ValueError(f"input {node.name!r}: got {node.type} {node.shape}, want a known type")
    shape = tuple(size if isinstance(size, int) and size >= 0 else None for size in node.shape)
    return EngineInput(node.name, DTYPES[node.type], shape)


def open_stream(
    files: Mapping[str, Path], precision: Precision, threads: int, longest: int
) -> TextStream | None:
    """A stream over a file of fused attention, whose keys and values lie in one buffer; None for other files.

    Raises:
        ValueError: if ONNX Runtime refuses the model.
    """
    session = _open(files, make_options(precision, threads))
    if all(node.name != LOGITS_TO_KEEP for node in session.get_overridable_initializers()):
        return None
    return BufferStream(session, longest)


def kernels(files: Mapping[str, Path], precision: Precision) -> dict[str, int]:
    """Operators of the optimized graph, each with the element type of its first input."""
    return count_operators(_optimized(files, precision))


def islands(files: Mapping[str, Path], precision: Precision) -> list[dict[str, str]]:
    """Float nodes of the optimized graph that lie between int8 ones; none unless it is int8."""
    if precision != "int8":
        return []
    return optimized_graph.find_islands(graph.read(files[MODEL]), _optimized(files, precision))


def _optimized(files: Mapping[str, Path], precision: Precision) -> graph.Graph:
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        chosen = make_options(precision, 1)
        chosen.optimized_model_filepath = str(Path(folder) / MODEL)
        _open(files, chosen)
        return graph.read(Path(folder) / MODEL)


def count_operators(read: graph.Graph) -> dict[str, int]:
    """``{"Conv f32": 9}``, most frequent first."""
    elements = graph.element_types(read)
    counted = Counter(
        f"{node.op} {graph.ELEMENTS.get(graph.first_type(node, elements), 'unknown')}"
        for node in read.nodes
    )
    return dict(counted.most_common())


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
    islands=islands,
    open_stream=open_stream,
)
