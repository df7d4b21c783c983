"""One int8 file on each engine: its answers to the test images, and its time beside the float model's."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd.bench import session
from edgekd.bench import statistics
from edgekd.bench.build import build_engine
from edgekd.bench.engine import Engine
from edgekd.bench.machine.snapshots import SnapshotLog
from edgekd.bench.outputs import compute_outputs
from edgekd.bench.outputs import write_inputs
from edgekd.bench.pair import comparison
from edgekd.bench.pair import significance
from edgekd.bench.process import run_worker
from edgekd.bench.timing import Steady
from edgekd.bench.timing import WarmUp
from edgekd.errors import EdgekdError
from edgekd.fields.image import Image

ENGINES = ("onnxruntime", "openvino")
THREADS = (1, 2)
FLOAT = "float"
NS_PER_MS = 1e6
TIMEOUT_S = 900


class Model(NamedTuple):
    """One row: a file for each engine, or why there is none."""

    name: str
    files: Mapping[str, Path | str]
    """By engine: an ONNX file, the .xml of an OpenVINO model, or the reason."""
    about: Mapping[str, Any]
    """seconds, lines and so on, as they are told."""
    precision: str = "fp32"
    """Of what is not quantized."""


@dataclass
class Cell:
    """One row on one engine."""

    engine: Engine | None = None
    reason: str = ""
    """Why there is nothing, or no more."""
    size_bytes: int | None = None
    kernels: Mapping[str, int] | None = None
    right: np.ndarray | None = None
    """bool [N]: which test images it tells."""
    medians_ns: dict[int, list[float]] = field(default_factory=dict)
    """By threads: the median of each process, in the order they ran."""


Cells = dict[tuple[str, str], Cell]
"""By row and engine."""


def opened(models: Sequence[Model], scratch: Path) -> Cells:
    """Every file made an engine of, or the reason why it is none."""
    return {
        (model.name, runtime): _opened(model, runtime, scratch / f"{number}-{runtime}")
        for number, model in enumerate(models)
        for runtime in ENGINES
    }


def _opened(model: Model, runtime: str, goal: Path) -> Cell:
    path = model.files[runtime]
    if isinstance(path, str):
        return Cell(reason=path)
    if path.suffix == ".xml":
        parts = {"model.xml": path, "model.bin": path.with_suffix(".bin")}
        size = sum(part.stat().st_size for part in parts.values())
        return Cell(Engine(runtime, model.precision, 1, parts), size_bytes=size)
    goal.mkdir(parents=True)
    try:
        told = build_engine(path, runtime, model.precision, goal, timeout_s=TIMEOUT_S, kernels=True)
    except EdgekdError as error:
        return Cell(reason=f"refused: {error}", size_bytes=path.stat().st_size)
    if "not_measured" in told:
        return Cell(reason=f"not measured: {told['not_measured']}")
    parts = {name: goal / name for name in told["files"]}
    engine = Engine(runtime, model.precision, 1, parts)
    return Cell(engine, size_bytes=path.stat().st_size, kernels=told.get("kernels"))


def answer(cells: Cells, folder: Path, note: Callable[[str], None]) -> None:
    """Fill in which test images each engine tells; one that fails is left out from here on."""
    about = json.loads((folder / "preprocessing.json").read_text())
    fields = {"images": Image.from_json(about)}
    labels = np.load(folder / "test_labels.npy", allow_pickle=False)
    images = np.load(folder / "test_images.npy", allow_pickle=False)
    split = write_inputs({"images": images}, folder / "test.split")
    for (name, runtime), cell in cells.items():
        if cell.engine is None:
            continue
        note(f"{name} on {runtime}: answers")
        try:
            answered = compute_outputs(cell.engine, split, fields=fields, timeout_s=TIMEOUT_S)
            (logits,) = answered.values()
        except EdgekdError as error:
            cell.engine, cell.reason = None, f"failed: {error}"
            continue
        cell.right = logits.argmax(1) == labels


def rules(processes: int) -> session.Rules:
    """The same number of processes for every file, so that they pair up."""
    return session.Rules(
        processes_min=processes,
        processes_max=processes,
        budget_s=math.inf,
        warm_up=WarmUp(max_ns=2_000_000_000),
        steady=Steady(min_ns=500_000_000, max_ns=1_000_000_000),
    )


def time_all(
    cells: Cells, sample: Path, processes: int, note: Callable[[str], None]
) -> dict[str, Any]:
    """Fill in the medians: one sitting an engine and thread count, in which all files take turns.

    Returns:
        What is to be said of the machine meanwhile.
    """
    looks, seen = SnapshotLog(), []
    for runtime in ENGINES:
        for threads in THREADS:
            looks.take(run_worker)
            chosen = {
                name: cell
                for (name, engine), cell in cells.items()
                if engine == runtime and cell.engine is not None
            }
            subjects = [
                session.Subject(name, cell.engine._replace(threads=threads), sample)
                for name, cell in chosen.items()
                if cell.engine is not None
            ]
            for found in session.measure_subjects(subjects, rules(processes), note=note):
                cell = chosen[found.subject.name]
                cell.medians_ns[threads] = found.medians_ns()
                cell.reason = cell.reason or found.failure
                seen += found.processes
    looks.take(run_worker)
    return {**looks.validity(seen)._asdict(), "drifts": looks.drifts()}


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any] | None:
    """Median of the ratios of the processes that ran in the same round, and its 95 % interval."""
    pairs = [math.log(a / b) for a, b in zip(ours, theirs, strict=False)]
    if not pairs:
        return None
    found = comparison.judge(pairs)
    return {"ratio": found.ratio, "ci95": found.interval, "verdict": found.verdict}


def told(cell: Cell, base: Cell) -> dict[str, Any]:
    """One cell as it is stored, beside the float model's on the same engine."""
    found: dict[str, Any] = {"size_bytes": cell.size_bytes, "kernels": cell.kernels}
    if cell.reason:
        found["reason"] = cell.reason
    if cell.right is not None and base.right is not None:
        found["accuracy"] = float(cell.right.mean())
        found["against_float"] = against(cell.right, base.right)
    for threads, medians in cell.medians_ns.items():
        if medians:
            across = statistics.summarize_processes(medians)
            found[f"{threads} threads"] = {
                "p50_ms": across.value / NS_PER_MS,
                "to_float": ratio(medians, base.medians_ns.get(threads, ())),
                "process_medians_ms": [ns / NS_PER_MS for ns in medians],
            }
    return found


def against(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """Points gained over `theirs` on the same images, and McNemar's exact p-value."""
    lost, gained = int((theirs & ~ours).sum()), int((ours & ~theirs).sum())
    points = 100 * (gained - lost) / len(ours)
    return {"points": points, "mcnemar_p": significance.mcnemar(lost, gained)}


def machine() -> dict[str, Any]:
    """What it is, for the result."""
    from edgekd.bench.machine import host

    found = host.describe_host()
    facts: dict[str, Any] = json.loads(json.dumps(found.facts))
    return {"facts": facts, "versions": found.versions}
