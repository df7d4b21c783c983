"""OpenVINO, CPU: the ONNX file becomes an IR (`model.xml` and `model.bin`), weights kept in float."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import sys
from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd import admission
from edgekd import graph
from edgekd.islands import layers
from edgekd.profile import stored_precision
from edgekd.runtime import Precision
from edgekd.runtime import Runtime
from edgekd.runtime import Shapes
from edgekd.runtime import TextStream
from edgekd.runtime import not_installed
from edgekd.runtimes import BUILT_IN
from edgekd.runtimes.openvino.mapped_pages import drop_pages
from edgekd.runtimes.openvino.session import OpenVinoSession
from edgekd.runtimes.openvino.stream import StateStream
from edgekd.runtimes.openvino.stream import make_stateful

# `import openvino` reports itself to its makers from a thread that forks, in the midst of what is
# measured; without this module it falls back to a sender that does nothing
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

GRAPH, WEIGHTS = "model.xml", "model.bin"
HINTS = {
    "fp32": "f32",
    "bf16": "bf16",
    "fp16": "f16",
    "int8": "f32",
    "int8-bf16": "bf16",
    "int4": "f32",
}
"""Int8 and int4 are in the file; the hint is for what is not quantized in it."""
CAPABILITIES: dict[Precision, tuple[str, ...]] = {
    "fp32": ("FP32",),
    "bf16": ("BF16",),
    "fp16": ("FP16",),
    "int8": ("INT8",),
    "int8-bf16": ("INT8", "BF16"),
    "int4": ("INT8",),
}
"""Weights in 4 bits are read for products in int8."""


def why_not() -> str | None:
    """None if usable here, else one line that says what is missing."""
    if importlib.util.find_spec("openvino") is None:
        return not_installed("openvino", "openvino")
    return None


@functools.cache
def open_core() -> Any:
    """OpenVINO's core, one for the process and to its end.

    The CPU plugin of each core puts a stack of its own under the main thread's signal handlers and gives
    back the one before it when it goes. Of two cores the older goes first as often as not; what is then
    given back is memory that is no longer there, and the next ``^C`` ends the process by SIGSEGV.
    """
    import openvino

    return openvino.Core()


def precisions() -> tuple[Precision, ...]:
    """Those the CPU plugin names; it would take another hint too, and quietly run something else."""
    offered = open_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return tuple(name for name, words in CAPABILITIES.items() if {*words} <= {*offered})


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
        model = open_core().read_model(onnx.read_bytes(), b"")
        _name_outputs(model, onnx)
        openvino.save_model(model, str(folder / GRAPH), compress_to_fp16=False)
    except RuntimeError as error:
        raise ValueError(f"OpenVINO refuses {onnx.name}: {_first_line(error)}") from error
    return {GRAPH: folder / GRAPH, WEIGHTS: folder / WEIGHTS}


def _name_outputs(model: Any, onnx: Path) -> None:
    """Give outputs of several names the one that the file's output has: what is in a branch that was taken has others."""
    for port, value in zip(model.outputs, graph.read(onnx).outputs, strict=False):
        if len(port.names) > 1 and value.name in port.names:
            port.get_tensor().set_names({value.name})


def load(
    files: Mapping[str, Path],
    precision: Precision,
    threads: int,
    *,
    batch: int | None = None,
    shapes: Shapes | None = None,
) -> OpenVinoSession:
    """A model compiled for one stream on `threads` threads, latency first, for `shapes` or `batch` rows.

    Raises:
        ValueError: if OpenVINO refuses the model, or an input has no fixed rank or known type.
    """
    return OpenVinoSession(*_compile(files, precision, threads, batch, shapes))


def _compile(
    files: Mapping[str, Path],
    precision: Precision,
    threads: int,
    batch: int | None,
    shapes: Shapes | None = None,
) -> tuple[Any, tuple[str, ...]]:
    """The compiled model, and the names of its outputs, to which compiling adds those of what it folds.

    For `shapes`, or `batch` rows, where it can be: with every shape known OpenVINO plans better
    (README of ``benchmarks/engines``). A graph that holds for any number of rows may still refuse one: then
    it stays free, and its session says what it cannot take."""
    chosen, core = _options(precision, threads), open_core()
    with _blame_graph(files), drop_pages(files[WEIGHTS]):
        if batch is not None:
            model = core.read_model(str(files[GRAPH]), str(files[WEIGHTS]))
            with contextlib.suppress(RuntimeError):
                model.reshape(_shapes(model, batch, shapes or {}))
                return core.compile_model(model, "CPU", chosen), _output_names(model)
        model = core.read_model(str(files[GRAPH]), str(files[WEIGHTS]))
        return core.compile_model(model, "CPU", chosen), _output_names(model)


def _options(precision: Precision, threads: int) -> dict[str, Any]:
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        # pinning would fight the affinity a worker was given, and one thread needs none
        "ENABLE_CPU_PINNING": False,
    }


def _output_names(model: Any) -> tuple[str, ...]:
    return tuple(port.any_name for port in model.outputs)


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


def find_cache(precision: Precision) -> str:
    """What keys and values of earlier tokens are kept in."""
    return BUILT_IN["openvino"].caches.get(precision, "f32")


def open_stream(
    files: Mapping[str, Path], precision: Precision, threads: int, longest: int
) -> TextStream | None:
    """A stream over a file with states, which stay inside the engine; None for other files.

    Its attention is one operator with keys and values in what `RuntimeEntry.caches` says, in 8 bits where the weights are; where
    it cannot be written so, or not run here, they stay float32.

    Raises:
        ValueError: if OpenVINO refuses the model.
    """
    hints = {**_options(precision, threads), "KV_CACHE_PRECISION": find_cache(precision)}
    core = open_core()
    with _blame_graph(files), drop_pages(files[WEIGHTS]):
        with contextlib.suppress(RuntimeError):
            model = core.read_model(str(files[GRAPH]), str(files[WEIGHTS]))
            if make_stateful(model, fused=True):
                return StateStream(core.compile_model(model, "CPU", hints), fused=True)
        model = core.read_model(str(files[GRAPH]), str(files[WEIGHTS]))
        if not make_stateful(model):
            return None
        return StateStream(core.compile_model(model, "CPU", hints))


@contextlib.contextmanager
def _blame_graph(files: Mapping[str, Path]) -> Iterator[None]:
    """What OpenVINO raises is the fault of the model."""
    try:
        yield
    except RuntimeError as error:
        raise ValueError(f"OpenVINO refuses {files[GRAPH].name}: {_first_line(error)}") from error


def kernels(files: Mapping[str, Path], precision: Precision) -> dict[str, int]:
    """Layers of the CPU plugin's own graph that compute, each with its run-time precision."""
    counted = Counter(
        f"{layer.kind} {layer.precision}"
        for layer in _layers(files, precision)
        if layer.kind not in layers.STORED
    )
    return dict(counted.most_common())


def islands(files: Mapping[str, Path], precision: Precision) -> list[dict[str, str]]:
    """Layers that compute in float between int8 ones; none unless the file is in int8."""
    if stored_precision(precision) != "int8":
        return []
    model = open_core().read_model(str(files[GRAPH]), str(files[WEIGHTS]))
    return layers.find_islands(
        _layers(files, precision),
        {op.get_friendly_name(): _operation(op) for op in model.get_ordered_ops()},
    )


def _layers(files: Mapping[str, Path], precision: Precision) -> list[layers.GraphLayer]:
    found = []
    compiled, _ = _compile(files, precision, 1, 1)
    for one in compiled.get_runtime_model().get_ordered_ops():
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
    open_stream=open_stream,
)
