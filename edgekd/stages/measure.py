"""Stage `measure`: every compiled candidate's accuracy, parity, latency, memory and cold start, here.

Each engine is first asked for its answers: on the validation images, and on the golden inputs its
model answered before export. Only one that answers right is timed.
"""

from __future__ import annotations

import functools
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any
from typing import NamedTuple
from typing import Self

from pydantic import Field
from pydantic import model_validator

from edgekd import files
from edgekd import task
from edgekd.bench import golden
from edgekd.bench import result
from edgekd.bench import session
from edgekd.bench.answers import Answers
from edgekd.bench.answers import judged
from edgekd.bench.candidate import Candidate
from edgekd.bench.engine import Engine
from edgekd.bench.machine import site
from edgekd.bench.outputs import outputs
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.bench.result import figures
from edgekd.bench.timing import COLD
from edgekd.bench.timing import Steady
from edgekd.bench.timing import WarmUp
from edgekd.device import Device
from edgekd.errors import InputError
from edgekd.preprocessing import Preprocessing
from edgekd.settings import Fraction
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage

if TYPE_CHECKING:
    import numpy as np

OK = "ok"
NS_PER_S = 1_000_000_000


class Measure(Settings):
    """How long and how often is measured."""

    processes_min: Annotated[int, Field(ge=6, le=1000)] = 6
    """Fresh processes a candidate gets at least; an interval needs six."""
    processes_max: Annotated[int, Field(ge=6, le=1000)] = 12
    """And at most, while its interval is wider than `half_width`."""
    half_width: Fraction = 0.02
    """How narrow the 95 % interval over processes must be, as a fraction of the median."""
    min_time_s: Positive = 0.5
    """Timed iterations of one process, after warm-up."""
    max_time_s: Positive = 2.0
    """And at most, while the median inside the process is not known to 1 %."""
    max_warmup_s: Positive = 5.0
    """Longest warm-up; a process that never settles is kept and marked."""
    budget_s: Positive = 600.0
    """For all candidates together; no process starts later."""
    timeout_s: Positive = 300.0
    """After this a single process is killed."""
    seed: Whole = 0
    """Of inputs that are drawn, where no real ones exist."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.processes_max < self.processes_min or self.max_time_s < self.min_time_s:
            raise ValueError("got a maximum below its minimum")
        return self

    def rules(self) -> session.Rules:
        """The same for `edgekd.bench.session`."""
        return session.Rules(
            processes_min=self.processes_min,
            processes_max=self.processes_max,
            half_width=self.half_width,
            budget_s=self.budget_s,
            timeout_s=self.timeout_s,
            warm_up=WarmUp(max_ns=round(self.max_warmup_s * NS_PER_S)),
            steady=Steady(
                min_ns=round(self.min_time_s * NS_PER_S), max_ns=round(self.max_time_s * NS_PER_S)
            ),
            seed=self.seed,
        )


class Config(Settings):
    """What is measured, and how."""

    candidates: Annotated[tuple[Candidate, ...], Field(strict=False)]
    tolerance: Positive = 1e-4
    """Largest difference of an fp32 logit from the trained model's."""
    measure: Measure = Measure()


def run(config: Config, given: Given, context: Context) -> Made:
    """Give rows.json, one row a subject and thread count; site.json, the machine that measured;
    raw.json.gz with every iteration.

    Takes ``<subject>/engine.json`` and its files, ``<export>/golden`` and ``<export>/parity``,
    validation_images, validation_labels, data.
    """
    samples = {}
    for name in {subject.exported for subject in config.candidates}:
        samples[name] = _samples(name, given, context.folder)
    rows: list[dict[str, Any]] = []
    timed: dict[str, session.Subject] = {}
    for number, subject in enumerate(config.candidates):
        context.progress.update(number, len(config.candidates), f"answers of {subject.name}")
        about = json.loads(given[f"{subject.name}/engine.json"].read_bytes())
        engines = subject.engines(about, given)
        answers = _asked(engines, about, samples[subject.exported], given, config, context.device)
        for name, engine in engines.items():
            rows.append(blank_row(name, subject, engine, about, answers))
            if not answers.fault:
                timed[name] = session.Subject(name, engine, samples[subject.exported].inputs)
    rules = config.measure.rules()
    started = [0]

    def note(text: str) -> None:
        started[0] += 1
        context.progress.update(started[0], len(timed) * (rules.processes_max + 1), text)

    there = site.describe(context.device)
    if there.emulated:
        timed = {}
    worker = functools.partial(run_worker, device=context.device)
    sitting = session.measure(list(timed.values()), rules, note=note, worker=worker)
    measured = {found.subject.name: found for found in sitting}
    rows = [filled(row, measured.get(row["name"]), there.emulated) for row in rows]
    return write(rows, measured, there, context.folder)


class Samples(NamedTuple):
    """What one exported model was asked before, and answered."""

    inputs: Path
    """float32 .npy [N, C, H, W]."""
    outputs: np.ndarray
    """[N, classes]."""
    step: float | None
    """Of a quantized model, how far one code of its classifier's input moves a logit."""


def _samples(name: str, given: Given, folder: Path) -> Samples:
    found = golden.read(given[f"{name}/golden"])
    step = json.loads(given[f"{name}/parity"].read_bytes()).get("logit_step")
    return Samples(golden.write_inputs(found, folder / f"{name}.npy"), found.outputs, step)


def _asked(
    engines: Mapping[str, Engine],
    about: Mapping[str, Any],
    samples: Samples,
    given: Given,
    config: Config,
    device: Device,
) -> Answers:
    """Accuracy and parity of one subject; the thread count does not change its answers."""
    import numpy as np

    if about["status"] != OK:
        return Answers(None, None, None, None, about["status"])
    data = json.loads(given["data"].read_bytes())
    preprocessing = Preprocessing(**data["preprocessing"])
    labels = np.load(given["validation_labels"], allow_pickle=False)
    engine = max(engines.values(), key=lambda e: e.threads)
    there = functools.partial(outputs, engine, timeout_s=config.measure.timeout_s, device=device)
    try:
        told = there(samples.inputs, preprocessing=None)
        logits = there(given["validation_images"], preprocessing=preprocessing)
    except (WorkerFailed, InputError) as error:
        return Answers(None, None, None, None, f"failed: {error}")
    if not (np.isfinite(told).all() and np.isfinite(logits).all()):
        return Answers(None, None, None, None, "failed: got answers that are not finite")
    accuracy = task.top1_accuracy(logits, labels)
    precision, tolerance = engine.precision, config.tolerance
    return judged(accuracy, told, samples.outputs, precision, tolerance, samples.step)


def blank_row(
    name: str, subject: Candidate, engine: Engine, about: Mapping[str, Any], answers: Answers
) -> dict[str, Any]:
    """A row with everything that is known before timing."""
    return {
        "name": name,
        "model": subject.model,
        "runtime": subject.runtime,
        "runtime_version": about["runtime_version"],
        "precision": subject.precision,
        "profile": subject.profile,
        "threads": engine.threads,
        "validation_accuracy": answers.accuracy,
        "parity_max_abs": answers.max_abs,
        "parity_rms": answers.rms,
        "parity_steps": answers.steps,
        "top1_agreement": answers.agreement,
        "size_bytes": about["size_bytes"],
        "kernels": about["kernels"],
        "islands": about.get("islands", []),
        "status": answers.fault or OK,
    }


def filled(
    row: dict[str, Any], measured: session.Measured | None, emulated: str | None = None
) -> dict[str, Any]:
    """`row` with its timings, or with nulls where there are none.

    A row whose answers are right keeps its accuracy on an emulated device, and no time.
    """
    metrics = {} if measured is None else {m.name: m for m in figures.metrics(measured)}
    values = {name: metric.value for name, metric in metrics.items()}
    p50, peak = metrics.get("latency_p50"), values.get("peak_rss")
    status = row["status"]
    if emulated and status == OK:
        status = f"not measured: emulated ({emulated})"
    if measured is not None:
        word, reason = result.status_of(measured)
        late = "failed" if measured.failure else "not measured"
        status = {"failed": f"{late}: {reason}", "not_steady": "unstable"}.get(word, word)
    return {
        **row,
        "latency_p50_ms": values.get("latency_p50"),
        "latency_ci95_ms": None if p50 is None or p50.ci95 is None else list(p50.ci95),
        **{f"latency_p{q}_ms": values.get(f"latency_p{q}") for q in (90, 95, 99)},
        "latency_mean_ms": values.get("latency_mean"),
        "peak_rss_bytes": None if peak is None else int(peak),
        "cold_start_ms": {n: values[n] for n in COLD if values.get(n) is not None},
        "processes": 0 if measured is None else len(measured.processes),
        "iterations": 0 if p50 is None else p50.n_iter,
        "status": status,
    }


def write(
    rows: list[dict[str, Any]],
    measured: Mapping[str, session.Measured],
    there: site.Site,
    folder: Path,
) -> Made:
    """The files; raw results carry the machine they are from."""
    raw = {
        "fingerprint": {"key": there.key, "fields": there.facts},
        "subjects": {
            name: {"processes": found.processes, "memory": found.memory, "failure": found.failure}
            for name, found in measured.items()
        },
    }
    about = {
        "name": there.name,
        "key": there.key,
        "facts": there.facts,
        "versions": there.versions,
    }
    made = {name: folder / name for name in ("rows.json", "site.json", "raw.json.gz")}
    made["site.json"].write_bytes(files.pretty_json(about))
    made["rows.json"].write_bytes(files.pretty_json(rows))
    made["raw.json.gz"].write_bytes(gzip.compress(files.canonical_json(raw), mtime=0))
    return made


STAGE = Stage(
    name="measure",
    settings=Config,
    run=run,
    packages=("onnxruntime", "openvino", "numpy"),
    bound="device",
)
