"""TensorRT, or TensorRT for RTX: the ONNX file becomes an engine for one compute capability.

TensorRT for RTX builds without a GPU, so parsing, explicit quantization, the engine's size and its
layers are real on any machine; running it needs the GPU.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgekd import admission
from edgekd import files
from edgekd.runtime import Files
from edgekd.runtime import Precision
from edgekd.runtime import Runtime
from edgekd.runtime import Session
from edgekd.runtime import Shapes
from edgekd.runtimes.tensorrt import cuda
from edgekd.runtimes.tensorrt import halves
from edgekd.runtimes.tensorrt import layers
from edgekd.runtimes.tensorrt import library
from edgekd.runtimes.tensorrt import network as networks
from edgekd.runtimes.tensorrt import session
from edgekd.runtimes.tensorrt.library import LoadedLibrary

PLAN, ABOUT = "engine.plan", "plan.json"
BATCHES = (1, 256)
"""What a free batch axis may be; kernels are chosen for the first."""
DEFAULT_CAPABILITY = "sm89"
"""What is built for where there is no device; Ada, the middle of what TensorRT for RTX knows."""
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")


def why_not() -> str | None:
    """None if engines can be built here, else one line that says what is missing."""
    missing = library.why_not()
    if (
        missing is None
        and library.find_installed() is library.CLASSIC
        and cuda.capability() is None
    ):
        return f"{cuda.NONE}: classic TensorRT builds on the one it builds for"
    return missing


def why_not_run(built: Files | None = None) -> str | None:
    """None if engines, or the one that is `built`, can run here, else one line."""
    there = cuda.capability()
    if there is None:
        return cuda.NONE
    found = library.find_installed()
    if found is not None and found.capabilities and there not in found.capabilities:
        return f"the CUDA device is {there}, TensorRT for RTX wants {', '.join(found.capabilities)}"
    wanted = there if built is None else _about(built)["capability"]
    return None if wanted == there else f"built for {wanted}, the CUDA device is {there}"


def precisions() -> tuple[Precision, ...]:
    """fp32, fp16 and int8, on every device."""
    return PRECISIONS


def build(
    onnx: Path, folder: Path, precision: Precision, *, capability: str | None = None
) -> dict[str, Path]:
    """The engine of an ONNX file, and `plan.json`, which says what it is and what layers it has.

    TensorRT for RTX times nothing while it builds: the same file gives the same bytes.

    Args:
        onnx: a float file; for int8 the one with QuantizeLinear and DequantizeLinear.
        folder: where both are written.
        precision: of all that is not quantized; fp32 is IEEE float32, never TF32.
        capability: ``sm89``; None is the CUDA device that is there, else `DEFAULT_CAPABILITY`.

    Raises:
        InputError: if it is no readable file.
        ValueError: if the file is not admitted, or it, the precision or the capability is refused.
        ImportError: if the library does not import.
    """
    admission.admit(onnx)
    if precision not in PRECISIONS:
        raise ValueError(f"precision: got {precision!r}, want one of {', '.join(PRECISIONS)}")
    opened = library.load_library()
    target = _capability(opened, capability)
    plan = _plan(opened, onnx, precision, target)
    found = layers.parse_layers(said for _, said in opened.log.lines)
    about = {
        "library": opened.library.name,
        "version": opened.module.__version__,
        "capability": target,
        "precision": precision,
        "layers": [layer._asdict() for layer in found],
    }
    files.write_bytes(folder / PLAN, plan)
    files.write_bytes(folder / ABOUT, files.pretty_json(about))
    return {PLAN: folder / PLAN, ABOUT: folder / ABOUT}


def _capability(opened: LoadedLibrary, asked: str | None) -> str:
    there, known = cuda.capability(), opened.library.capabilities
    if not known:
        if there is None:
            raise ValueError(f"{cuda.NONE}: classic TensorRT builds on the one it builds for")
        if asked not in (None, there):
            raise ValueError(f"capability: got {asked!r}, want {there}, the device that is there")
        return there
    if asked is not None and asked not in known:
        raise ValueError(f"capability: got {asked!r}, want one of {', '.join(known)}")
    return asked or (there if there in known else DEFAULT_CAPABILITY)


def _plan(opened: LoadedLibrary, onnx: Path, precision: Precision, target: str) -> bytes:
    builder = opened.module.Builder(opened.log)
    network, parser = networks.parse_network(opened, builder, onnx)
    quantized = networks.is_quantized(opened, network)
    if quantized != (precision == "int8") and precision != "fp32":
        got = "a float file" if precision == "int8" else "a file with QuantizeLinear"
        raise ValueError(f"precision: got {precision!r} of {got}, want the other file")
    kept = halves.halve(opened, network) if precision == "fp16" else []
    config = _config(opened, builder, network, target)
    opened.log.lines.clear()
    plan = builder.build_serialized_network(network, config)
    del kept, parser  # till here TensorRT reads weights where they lie
    if plan is None:
        raise ValueError(f"TensorRT refuses {onnx.name}: {networks.last_error(opened.log)}")
    return bytes(plan)


def _config(opened: LoadedLibrary, builder: Any, network: Any, target: str) -> Any:
    """Everything that changes the engine, said out loud."""
    module = opened.module
    config = builder.create_builder_config()
    config.profiling_verbosity = module.ProfilingVerbosity.DETAILED
    config.clear_flag(module.BuilderFlag.TF32)
    if opened.library.capabilities:
        config.num_compute_capabilities = 1
        wanted = getattr(module.ComputeCapability, target.upper(), None)
        if wanted is None or not config.set_compute_capability(wanted, 0):
            raise ValueError(f"capability: got {target!r}, which {module.__version__} lacks")
    profile = builder.create_optimization_profile()
    for number in range(network.num_inputs):
        tensor = network.get_input(number)
        first, *others = tensor.shape
        if any(size < 0 for size in others):
            raise ValueError(f"input {tensor.name!r}: got {tensor.shape}, want a free batch alone")
        least, most = BATCHES if first < 0 else (first, first)
        profile.set_shape(tensor.name, (least, *others), (least, *others), (most, *others))
    config.add_optimization_profile(profile)
    return config


def load(
    built: Files,
    precision: Precision,
    threads: int,
    *,
    batch: int | None = None,
    shapes: Shapes | None = None,
) -> Session:
    """An execution context on the CUDA device; `threads` and `batch` change nothing.

    Raises:
        ValueError: if there is no such device, the engine is of another version, or it is refused.
    """
    reason = why_not_run(built)
    if reason is not None:
        raise ValueError(f"{PLAN}: {reason}")
    opened, about = library.load_library(), _about(built)
    made, here = (
        (about["library"], about["version"]),
        (opened.library.name, opened.module.__version__),
    )
    if made != here:
        raise ValueError(f"{PLAN}: got an engine of {' '.join(made)}, want {' '.join(here)}")
    opened.log.lines.clear()
    runtime = opened.module.Runtime(opened.log)
    engine = runtime.deserialize_cuda_engine(built[PLAN].read_bytes())
    if engine is None:
        raise ValueError(f"TensorRT refuses {PLAN}: {networks.last_error(opened.log)}")
    return session.TensorRtSession(engine, cuda.Cuda(library.cudart()), runtime)


def kernels(built: Files, precision: Precision) -> dict[str, int]:
    """Layers of the engine, each with the element type of its first input."""
    return layers.count_layers(_layers(built))


def islands(built: Files, precision: Precision) -> list[dict[str, str]]:
    """Matrix products of an int8 engine that run in float."""
    return layers.islands(_layers(built)) if precision == "int8" else []


def _layers(built: Files) -> list[layers.EngineLayer]:
    return [layers.EngineLayer(**layer) for layer in _about(built)["layers"]]


def _about(built: Files) -> dict[str, Any]:
    about: dict[str, Any] = json.loads(built[ABOUT].read_bytes())
    return about


RUNTIME = Runtime(
    name="tensorrt",
    modules=("numpy",),
    extra=library.EXTRA,
    distribution="tensorrt-rtx-cu13-bindings",
    why_not=why_not,
    precisions=precisions,
    build=build,
    load=load,
    kernels=kernels,
    why_not_run=why_not_run,
    islands=islands,
)
