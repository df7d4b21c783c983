"""Stage `measure`: every compiled candidate's score, parity, latency, memory and cold start, here.

Each engine is first asked for its answers: on the validation samples, and on the golden inputs its
model answered before export. Only one that answers right is timed.
"""

from __future__ import annotations

import functools
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from typing import Any
from typing import Self

from pydantic import Field
from pydantic import model_validator

from edgekd import dataset
from edgekd import files
from edgekd.bench import elimination
from edgekd.bench import session
from edgekd.bench import size_buckets
from edgekd.bench import sized_calls
from edgekd.bench.answers import Answers
from edgekd.bench.answers import refuse_answers
from edgekd.bench.candidate import Candidate
from edgekd.bench.engine_answers import AgreementFloor
from edgekd.bench.engine_answers import GoldenSamples
from edgekd.bench.engine_answers import ask_engine
from edgekd.bench.engine_answers import read_samples
from edgekd.bench.golden import USUAL
from edgekd.bench.golden import read as read_golden
from edgekd.bench.machine import host
from edgekd.bench.machine.monitor import Monitor
from edgekd.bench.machine.monitor import describe_fitness
from edgekd.bench.process import run_worker
from edgekd.bench.roles import STUDENT
from edgekd.bench.rows import blank_row
from edgekd.bench.rows import fill_row
from edgekd.bench.rows import resize_row
from edgekd.bench.side_by_side import choose_width
from edgekd.bench.side_by_side import map_side_by_side
from edgekd.bench.status import OK
from edgekd.bench.status import read_status
from edgekd.bench.timing import Steady
from edgekd.bench.timing import WarmUp
from edgekd.dataset import Dataset
from edgekd.device import TIMEOUT_S
from edgekd.settings import Count
from edgekd.settings import Fraction
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.settings import omit_default
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.stage import take_own
from edgekd.task import Task
from edgekd.task import interface_of
from edgekd.tasks import load_task

NS_PER_S = 1_000_000_000
WINDOW_NS = 20_000_000
"""Of warm-up; three of them must agree."""


class MeasureSettings(Settings):
    """Lengths and numbers of the measurements."""

    processes_min: Annotated[int, Field(ge=6, le=1000)] = 6
    """Fresh processes a candidate gets at least; an interval needs six."""
    processes_max: Annotated[int, Field(ge=6, le=1000)] = 20
    """And at most, while its interval is wider than `half_width` and it may still be the fastest."""
    half_width: Fraction = 0.02
    """How narrow the 95 % interval over processes must be, as a fraction of the median."""
    min_time_s: Positive = 0.1
    """Timed iterations of one process, after warm-up; small models differ more from process to process
    than from iteration to iteration."""
    max_time_s: Positive = 1.0
    """And at most, while the median inside the process is not known to 1 %."""
    max_warmup_s: Positive = 5.0
    """Longest warm-up; a process that never settles is kept and marked."""
    budget_s: Positive = 600.0
    """For all candidates together; no process starts later."""
    timeout_s: Positive = TIMEOUT_S
    """After this a single process is killed."""
    seed: Whole = 0
    """Of inputs that are drawn, where no real ones exist."""
    sizes: dict[str, Annotated[tuple[Count, ...], Field(min_length=1, strict=False)]] = (
        omit_default({})
    )
    """Sizes of free axes that are timed beside the usual one, by their names: ``{text_length: [16, 128]}``; each
    combination is a row. The choice is made at the usual sizes, and limits of time and memory hold at all. Where those of
    one axis are named, each size gets an engine of its own if that is surely faster and worth its bytes. Of decoders, too: ``prompt_length``, tokens
    before the first that is written, and ``context_length``, before the next one."""

    agreement_min: Fraction | None = omit_default(None)
    """How far the decisions of a student's engine on the golden inputs must be those of the student in float32: the share
    of equal classes, the mean cosine of embeddings. Below it a candidate is refused before it is timed; by default what
    its task says (`edgekd tasks`), 0 refuses none."""

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
            warm_up=WarmUp(window_ns=WINDOW_NS, max_ns=round(self.max_warmup_s * NS_PER_S)),
            steady=Steady(
                min_ns=round(self.min_time_s * NS_PER_S), max_ns=round(self.max_time_s * NS_PER_S)
            ),
            seed=self.seed,
        )


class MeasureConfig(Settings):
    """The subjects and the rules of the measurement."""

    candidates: Annotated[tuple[Candidate, ...], Field(strict=False)]
    tolerance: Positive = 1e-4
    """Of an fp32 logit against the trained model's, see `edgekd.bench.answers.float_allowance`."""
    measure: MeasureSettings = MeasureSettings()


def run(config: MeasureConfig, given: Given, context: Context) -> Made:
    """Give rows.json, one row a subject and thread count; site.json, the machine that measured and how
    fit it was; raw.json.gz with every iteration.

    Takes ``<subject>/engine.json`` and its files, ``<export>/golden`` and ``<export>/parity``, among them
    ``student/golden``, validation, data.
    """
    data = dataset.read(given["data"])
    task = load_task(data.task, allow_code=context.allow_code)
    interface = interface_of(task, data)
    samples = {}
    for name in {subject.exported for subject in config.candidates}:
        samples[name] = read_samples(name, given, context.folder)
    least = config.measure.agreement_min
    floor = AgreementFloor(
        read_golden(given[f"{STUDENT}/golden"]), task.least_agreement if least is None else least
    )
    rows: list[dict[str, Any]] = []
    timed: dict[str, session.Subject] = {}
    abouts = {
        one.name: json.loads(given[f"{one.name}/engine.json"].read_bytes())
        for one in config.candidates
    }

    def ask(one: Candidate) -> Answers:
        found, own = samples[one.exported], take_own(given, one.model)
        own_floor = floor if one.model == STUDENT else None
        own_data = data if own["data"] == given["data"] else dataset.read(own["data"])
        about = abouts[one.name]
        return _answers(one, about, found, own, config, context, own_data, task, own_floor)

    width = choose_width(data, context.device)
    every = map_side_by_side(ask, config.candidates, width)
    for number, subject in enumerate(config.candidates):
        context.progress.update(number, len(config.candidates), f"answers of {subject.name}")
        about, answers = abouts[subject.name], next(every)
        engines = subject.engines(about, given)
        found = samples[subject.exported]
        usual = sized_calls.usual_sizes(interface, found.groups)
        others = sized_calls.plan_sized_calls(config.measure.sizes, interface, usual)
        if f"{subject.model}/data" in given:  # sizes are counted in the student's tokens
            others = []
        for name, engine in engines.items():
            row = blank_row(name, subject, engine, about, answers, usual)
            resized = [resize_row(row, call) for call in others]
            rows += [row, *resized]
            if answers.status.word != OK:
                continue
            timed[name] = session.Subject(name, engine, found.inputs[USUAL], call=found.call)
            for one, call in zip(resized, others, strict=True):
                timed[one["name"]] = session.Subject(one["name"], engine, call=call)
    rules = config.measure.rules()
    started = [0]

    def note(text: str) -> None:
        started[0] += 1
        context.progress.update(started[0], len(timed) * (rules.processes_max + 1), text)

    there = host.describe_host(context.device)
    if there.emulated:
        timed = {}
    watch = Monitor(functools.partial(run_worker, device=context.device))
    sitting = session.measure_subjects(
        list(timed.values()),
        rules,
        note=note,
        worker=watch,
        width=width,
        prepare=watch.prepare,
        contenders=functools.partial(
            elimination.remaining_candidates,
            elimination.list_candidates(rows, task.score.scale),
        ),
    )
    if sitting:
        watch.take_snapshot()
    measured = {found.subject.name: found for found in sitting}
    validity = {name: watch.validity(found) for name, found in measured.items()}
    rows = [
        fill_row(row, measured.get(row["name"]), validity.get(row["name"]), there.emulated)
        for row in rows
    ]
    rows = size_buckets.share_sizes(rows, config.measure.sizes, data, given["validation"])
    return write(rows, measured, describe_fitness(watch, validity.values()), there, context.folder)


def _answers(
    subject: Candidate,
    about: Mapping[str, Any],
    samples: GoldenSamples,
    given: Given,
    config: MeasureConfig,
    context: Context,
    data: Dataset,
    task: Task,
    floor: AgreementFloor | None,
) -> Answers:
    """Score and parity of one subject; the thread count does not change its answers."""
    if about["status"] != OK:
        return refuse_answers(read_status(about))
    return ask_engine(
        max(subject.engines(about, given).values(), key=lambda engine: engine.threads),
        samples,
        given["validation"],
        data,
        task,
        tolerance=config.tolerance,
        timeout_s=config.measure.timeout_s,
        device=context.device,
        floor=floor,
    )


def write(
    rows: list[dict[str, Any]],
    measured: Mapping[str, session.Measurement],
    machine: Mapping[str, Any],
    there: host.Host,
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
        "machine": machine,
    }
    made = {name: folder / name for name in ("rows.json", "site.json", "raw.json.gz")}
    made["site.json"].write_bytes(files.pretty_json(about))
    made["rows.json"].write_bytes(files.pretty_json(rows))
    made["raw.json.gz"].write_bytes(gzip.compress(files.canonical_json(raw), mtime=0))
    return made


STAGE = Stage(
    name="measure",
    settings=MeasureConfig,
    run=run,
    packages=("onnxruntime", "openvino", "numpy"),
    bound="device",
)
