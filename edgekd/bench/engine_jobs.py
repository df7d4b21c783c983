"""What a worker does with engines before they run: compiles one, or looks whether one may run here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd.bench import ir
from edgekd.bench import numerics
from edgekd.bench.engine import ONNX
from edgekd.bench.jobs import Spec
from edgekd.bench.status import offered_text
from edgekd.device import OUT
from edgekd.device import input_path
from edgekd.profile import stored_precision
from edgekd.runtime import Runtime
from edgekd.runtimes import RUNTIMES
from edgekd.runtimes import find_entry
from edgekd.runtimes import find_runtime
from edgekd.runtimes import why_not

if TYPE_CHECKING:
    from edgekd.bench.worker import Say


def compile_model(spec: Spec, say: Say, started_ns: int) -> dict[str, Any]:
    """The ONNX file ``in/model.onnx`` made into an engine's own files; or why it is not.

    ``not_measured`` beside ``files`` means: it is made, and cannot run here; beside ``not_offered``: on another
    machine this engine has the precision.
    """
    missing = why_not(spec["runtime"])
    if missing is not None:
        return {"not_measured": missing}
    runtime = find_runtime(spec["runtime"])
    try:
        return _compiled(runtime, spec, say)
    except ImportError as error:
        return {"not_measured": f"{runtime.name} is installed but does not import: {error}"}


def _compiled(runtime: Runtime, spec: Spec, say: Say) -> dict[str, Any]:
    say("compile")
    offered, precision = runtime.precisions(), spec["precision"]
    if precision not in offered:
        return {"not_measured": offered_text(runtime.name, offered), "not_offered": True}
    model = Path(input_path(ONNX))
    made = runtime.build(model, Path(OUT), precision, **_options(runtime, spec))
    wrong = why_no_label(model, precision) if runtime.name in RUNTIMES else None
    if wrong is not None:
        return {"not_measured": wrong}
    result: dict[str, Any] = {
        "files": {name: path.name for name, path in made.items()},
        "version": find_entry(runtime.name).version(),
    }
    if spec["kernels"]:
        say("kernel count")
        result["kernels"] = runtime.kernels(made, precision)
        result["islands"] = runtime.islands(made, precision)
    idle = runtime.why_not_run(made)
    return result if idle is None else {**result, "not_measured": idle}


def why_no_label(model: Path, precision: str) -> str | None:
    """Why an admitted file may not be called by `precision`, which says int8 or int4 of a float one or the other
    way round; None if it may."""
    contents, precision = numerics.read_contents(model), stored_precision(precision)
    if contents.block_bits and not numerics.is_quantized(contents):
        stored = numerics.name_numerics(contents, ())
        return None if precision == stored else f"its weights are stored in {stored}"
    if numerics.is_quantized(contents) == (precision == numerics.INT8):
        return None
    return "its graph computes in float" if precision == numerics.INT8 else "its graph is quantized"


def _options(runtime: Runtime, spec: Spec) -> dict[str, str]:
    options: dict[str, str] = spec.get("options", {})
    known = find_entry(runtime.name).options
    for name in options:
        if name not in known:
            has = ", ".join(known) or "none"
            raise ValueError(f"{name}: is no option of {runtime.name}, which has {has}")
    return options


def list_offers(spec: Spec, say: Say, started_ns: int) -> dict[str, Any]:
    """Return what a runtime offers on this machine to an engine that is made already, if that is admitted."""
    missing = why_not(spec["runtime"]) or find_runtime(spec["runtime"]).why_not_run()
    if missing is not None:
        return {"not_measured": missing}
    runtime = find_runtime(spec["runtime"])
    say("admission")
    paths = {name: Path(path) for name, path in spec["files"].items()}
    if set(paths) == {ir.GRAPH, ir.WEIGHTS}:
        ir.admit(paths[ir.GRAPH], paths[ir.WEIGHTS])
    return {"precisions": runtime.precisions(), "version": find_entry(runtime.name).version()}
