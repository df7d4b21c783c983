"""Two small models to gate, made without torch, and a worker whose times and peaks are made up."""

from __future__ import annotations

import random
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgekd import bundle
from edgekd import files
from edgekd import splits
from edgekd.bench.engine import Engine
from edgekd.bench.outputs import write_inputs
from edgekd.dataset import Dataset
from edgekd.field import Field
from edgekd.gate import ComparedModel
from edgekd.gate import ComparedPair
from edgekd.gate import EvaluationSamples
from edgekd.gate import Finding
from edgekd.gate import SizedPart
from edgekd.gating import weights
from edgekd.report.gate_result import GateDocument
from edgekd.report.gate_result import Outcome
from edgekd.report.gate_result import SideFacts
from edgekd.report.gate_result import overall_verdict
from edgekd.task import Task
from edgekd.task import metric_rows
from tests import bundle_example

KERNELS = {"MatMul f32": 1, "Flatten f32": 1}
COUNT = 400
MB = 1_000_000


def bundle_at(folder: Path, seed: int = 0, **other: Any) -> Path:
    """A bundle of the linear classifier of `seed`, golden answers and all."""
    folder.mkdir(parents=True)
    model = folder / "own.onnx"
    held = bundle_example.model(model, seed)
    inputs = np.random.default_rng(1).normal(size=(8, 1, 4, 4)).astype(np.float32)
    answers = {"inputs": inputs, "outputs": inputs.reshape(8, 16) @ held}
    golden = bundle_example.write_golden(folder / "own.safetensors", answers)
    return bundle_example.make(folder, **{"model": model, "golden": golden, **other})


def side(folder: Path, seed: int = 0, **other: Any) -> ComparedModel:
    """A side as `edgekd.gating.sides` makes it; its engine is ONNX Runtime on the bundle's file."""
    found = bundle.load_bundle(bundle_at(folder, seed))
    model = found.folder / "model.onnx"
    made = ComparedModel(
        given=str(folder),
        bundle=found,
        engine=Engine("onnxruntime", "fp32", 1, {"model.onnx": model}),
        inputs=write_inputs(found.golden["usual"].inputs, folder / "inputs.split"),
        size_bytes=model.stat().st_size,
        kernels=dict(KERNELS),
        runtime_version="1.0",
        complexity={"parameters": weights.count_weights(model), "macs": 48},
    )
    made = made._replace(**other)
    tolerance, golden = found.manifest.tolerance, found.golden
    parts = (SizedPart(made.engine, golden, tolerance, {"usual": made.inputs}),)
    return made._replace(parts=parts)


def with_engine(model: ComparedModel, engine: Engine) -> ComparedModel:
    """The same model run by another engine."""
    parts = tuple(part._replace(engine=engine) for part in model.parts)
    return model._replace(engine=engine, parts=parts)


def images(count: int = COUNT) -> np.ndarray:
    """uint8 [count, 4, 4, 1]."""
    return np.random.default_rng(2).integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)


def labels(seed: int = 0, count: int = COUNT, wrong: int = 40) -> np.ndarray:
    """What the classifier of `seed` says of `images`, but for the first `wrong`: int64 [count]."""
    held = np.random.default_rng(seed).normal(size=(16, 3)).astype(np.float32)
    inputs = bundle_example.IMAGE.apply(images(count)).reshape(count, 16)
    told = (inputs @ held).argmax(1)
    told[:wrong] = (told[:wrong] + 1) % 3
    return told.astype(np.int64)


def samples(folder: Path, count: int = COUNT) -> EvaluationSamples:
    """Images whose labels the classifier of seed 0 gets right nine times out of ten."""
    rows = {"images": images(count), "labels": labels(count=count)}
    path = write_inputs(rows, folder / "samples.split")
    return EvaluationSamples(path, count, "made up", files.digest_file(path))


def pair(
    folder: Path, *, run: Mapping[str, Any] | None = None, seed: int = 0, **other: Any
) -> ComparedPair:
    """The classifier of seed 0 as the baseline, that of `seed` as the run; `run` replaces of it."""
    ours = side(folder / "run", seed)._replace(**(run or {}))
    made = ComparedPair(
        run=ours,
        baseline=side(folder / "baseline"),
        samples=samples(folder),
        fingerprint="f" * 64,
        worker=worker(folder),
    )
    return made._replace(**other)


def outputs(
    engine: Engine, inputs: Path, *, fields: Mapping[str, Field] | None = None, **_: Any
) -> dict[str, np.ndarray]:
    """Stands for `edgekd.bench.outputs.compute_outputs`: the classifier's answers by numpy, in no time."""
    (tensor,) = onnx.load(engine.files["model.onnx"]).graph.initializer
    rows = splits.read(inputs)
    for name, field in (fields or {}).items():
        rows = field.prepare(name, rows[name])
    given = np.asarray(rows["images"])
    return {"logits": given.reshape(len(given), 16) @ numpy_helper.to_array(tensor)}


def score(
    engine: Engine, split: Path, data: Dataset, task: Task, **_: Any
) -> dict[str, np.ndarray]:
    """Stands for `edgekd.bench.scores.score`: rows of the metrics of those answers."""
    answered = outputs(engine, split, fields=data.inputs)
    targets = data.prepare_targets(splits.read(split))
    return metric_rows(task.metrics, answered, targets, data)


def worker(
    folder: Path,
    *,
    ratio: float = 1.0,
    noise: float = 0.005,
    more_bytes: int = 0,
    seed: int = 0,
    calls: list[str] | None = None,
    peak: Callable[[], int | None] = lambda: 50 * MB,
) -> Callable[..., dict[str, Any]]:
    """Stands for `run_worker`: the run takes `ratio` times the baseline's 1 ms and holds more."""
    chance = random.Random(seed)

    def run(job: str, spec: Mapping[str, Any], **given: Any) -> dict[str, Any]:
        paths = [str(path) for path in given["reads"].values()]
        is_run = any(str(folder / "run") in path for path in paths)
        if calls is not None:
            calls.append(f"{job} {'run' if is_run else 'baseline' if paths else ''}".strip())
        if job == "canary":
            return {"canary_ns": 1000.0, "snapshot": None}
        if job == "memory":
            held = peak()
            grown = more_bytes if is_run else 0
            jitter = chance.randrange(-50_000, 50_000)
            return {"peak_rss_bytes": None if held is None else held + grown + jitter}
        median = 1e6 * (ratio if is_run else 1.0) * chance.lognormvariate(0, noise)
        times = [round(median * (1 + 0.01 * (i % 3 - 1))) for i in range(30)]
        return {
            "iters_ns": times,
            "warmup_iters": 15,
            "steady": True,
            "cold_ms": {"load_ms": 1.0},
            "majflt": 0,
            "nivcsw": 0,
            "cpu_s": 0.03,
        }

    return run


def only(found: tuple[Finding, ...]) -> Finding:
    """The one thing a gate found."""
    (one,) = found
    return one


def outcome(gate: str = "size", **other: Any) -> Outcome:
    """One line of a document."""
    fields: dict[str, Any] = {
        "gate": gate,
        "kind": "exact",
        "verdict": "pass",
        "unit": "bytes",
        "got": 340_092.0,
        "allowed": 343_493.0,
        "text": "340 kB against 340 kB",
        **other,
    }
    return Outcome(**fields)


def document(*outcomes: Outcome, **other: Any) -> GateDocument:
    """What a gating hands over."""
    facts = SideFacts(
        given="runs/mine",
        name="tiny",
        bundle_digest="d" * 64,
        model_sha256="a" * 64,
        runtime="onnxruntime",
        runtime_version="1.31.1",
        precision="fp32",
        threads=1,
        size_bytes=340_092,
    )
    fields: dict[str, Any] = {
        "edgekd": "0.1.0",
        "ended_utc": "2026-11-21T11:00:00+00:00",
        "device": "local",
        "fingerprint": "f" * 64,
        "run": facts,
        "baseline": facts,
        "samples": None,
        "policy": {},
        "verdict": overall_verdict(outcomes),
        "outcomes": outcomes,
        **other,
    }
    return GateDocument(**fields)
