"""Stage `compile`: one ONNX file becomes one runtime's engine in one precision, built in a worker.

An engine that is missing here, or a precision it does not offer, is a result too: it says ``not
measured`` and why, and is never chosen. So is one that can be built here and not run: its files, size
and kernels are kept.
"""

from __future__ import annotations

from typing import Annotated
from typing import Any

from pydantic import AfterValidator

from edgekd import files
from edgekd.bench.build import build_engine
from edgekd.bench.status import NOT_MEASURED
from edgekd.bench.status import NOT_OFFERED
from edgekd.bench.status import Status
from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.runtime import Precision
from edgekd.runtimes import RUNTIMES
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.settings import omit_default
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage

ENGINE = "engine.json"


def _known(name: str) -> str:
    if name not in RUNTIMES:
        raise ValueError(f"got unknown runtime {name!r}; {find_nearest(name, RUNTIMES)}")
    return name


RuntimeName = Annotated[str, AfterValidator(_known)]
"""A name of `edgekd.runtimes.RUNTIMES`."""


class CompileConfig(Settings):
    """For which engine, how."""

    runtime: RuntimeName
    """Which engine."""
    precision: Precision = "fp32"
    """Arithmetic of the engine's kernels; weights stay as they are in the ONNX file."""
    options: dict[str, str] = {}
    """What this engine's build takes besides (`edgekd.runtime.RuntimeEntry.options`)."""
    as_it_is: bool = omit_default(False)
    """Whether the model is a user's own file: that an engine refuses it is then what its row says."""
    timeout_s: Positive = 600.0
    """After this the build is given up."""


def run(config: CompileConfig, given: Given, context: Context) -> Made:
    """The engine's files and ``engine.json``, which says what they are.

    Raises:
        InputError: if the engine refuses the model.
        WorkerFailed: if it crashes or hangs on it.
    """
    try:
        found = build_engine(
            given["model"],
            config.runtime,
            config.precision,
            context.folder,
            timeout_s=config.timeout_s,
            kernels=True,
            options=config.options,
            device=context.device,
        )
    except InputError as error:
        if not config.as_it_is:
            raise
        found = {"not_measured": str(error)}
        context.progress.note(found["not_measured"])
    description = describe_engine(config, found)
    (context.folder / ENGINE).write_bytes(files.pretty_json(description))
    made = {name: context.folder / name for name in description["files"]}
    return {**made, ENGINE: context.folder / ENGINE}


def describe_engine(config: CompileConfig, found: dict[str, Any]) -> dict[str, Any]:
    """The content of ``engine.json`` from what the worker found."""
    status = Status()
    if "not_measured" in found:
        status = Status(
            NOT_OFFERED if "not_offered" in found else NOT_MEASURED, found["not_measured"]
        )
    return {
        "runtime": config.runtime,
        "runtime_version": found.get("version"),
        "precision": config.precision,
        "files": sorted(found.get("files", {})),
        "size_bytes": found.get("size_bytes"),
        "kernels": found.get("kernels", {}),
        "islands": found.get("islands", []),
        "status": status.word,
        "reason": status.reason,
    }


STAGE = Stage(
    name="compile",
    settings=CompileConfig,
    run=run,
    packages=("onnxruntime", "openvino", "tensorrt", "tensorrt-rtx-cu13-bindings"),
    bound="device",
)
