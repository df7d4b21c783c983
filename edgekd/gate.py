"""What a gate is: one question about a run beside its baseline, and what it found.

`edgekd.gates` holds the members, `edgekd.gating` asks them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from edgekd.bench import scores
from edgekd.bench.call import CONTEXT
from edgekd.bench.engine import Engine
from edgekd.bench.engine_answers import plan_group_call
from edgekd.bench.engine_answers import plan_usual_call
from edgekd.bench.golden import Golden
from edgekd.bench.pair.significance import LEVEL
from edgekd.bench.process import run_worker
from edgekd.bench.session import Note
from edgekd.bench.session import Rules
from edgekd.bench.session import Subject
from edgekd.bench.session import Worker
from edgekd.bench.session import worker_spec
from edgekd.bench.sized_calls import plan_decoding
from edgekd.bench.sized_scores import SizedEngines
from edgekd.bench.sized_scores import score_by_size
from edgekd.bench.statistics import Interval
from edgekd.bundle import Bundle
from edgekd.bundle import require_task_fits
from edgekd.bundle.manifest import Tolerance
from edgekd.device import Device
from edgekd.devices import local
from edgekd.interface import BATCH
from edgekd.interface import is_decoder
from edgekd.report.gate_result import Kind
from edgekd.report.gate_result import Unit
from edgekd.report.gate_result import Verdict
from edgekd.settings import Settings
from edgekd.tasks import load_task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.task import Metric

NOT_MEASURED = "not measured: "


class SizedPart(NamedTuple):
    """What a model runs for the samples of some sizes, or of all."""

    engine: Engine
    golden: Golden
    """Groups whose size falls to it."""
    tolerance: Mapping[str, Tolerance]
    """Of its file, by ``runtime/precision``."""
    inputs: Mapping[str, Path]
    """Golden inputs by group."""


class ComparedModel(NamedTuple):
    """One of the two compared models: its bundle, and its engine compiled for this comparison."""

    given: str
    """As it was named on the command line."""
    bundle: Bundle
    engine: Engine
    inputs: Path
    """Its golden inputs, .npy or .npz."""
    size_bytes: int
    """Of the engine's files."""
    kernels: dict[str, int]
    """Of the engine's optimized graph: ``{"Conv f32": 9}``."""
    runtime_version: str | None
    complexity: dict[str, int]
    """`parameters`, counted in its ONNX file; `macs`, where a run's result tells them."""
    sized: SizedEngines | None = None
    """Its engines by the size of a sample, where it has several; the score is theirs together."""
    parts: tuple[SizedPart, ...] = ()
    """The same, or its only one, with what each is asked for parity and latency; memory is that of the engine for the usual
    sizes."""
    near_chance: bool = False
    """Whether a run's result says that it hardly does better than guessing."""

    @property
    def subject(self) -> Subject:
        """What is timed of it: its golden inputs, at their usual size."""
        call = plan_usual_call(self.bundle.golden)
        return Subject(self.given, self.engine, self.inputs, call=call)

    def find_subject(self, group: str) -> Subject | None:
        """What is timed of it at the size of a group of golden samples; None where it has no such group."""
        for part in self.parts:
            if group in part.golden:
                call = plan_group_call(part.golden[group])
                return Subject(self.given, part.engine, part.inputs[group], call=call)
        return None

    def find_text_subject(self, axis: str, length: int) -> Subject:
        """What is timed of a decoder token after token: behind so many tokens the first (`PROMPT`) or the next (`CONTEXT`)."""
        call = plan_decoding(self.bundle.interface, axis, length)
        return Subject(self.given, self.engine, call=call)


class EvaluationSamples(NamedTuple):
    """Samples with their targets, of which neither model has learned."""

    split: Path
    """Rows of every input and target, as they are stored."""
    sample_count: int
    source: str
    """Where they are from, for the reader."""
    sha256: str
    """Of the split."""


class ComparedPair(NamedTuple):
    """The input of a gate: both models and the samples."""

    run: ComparedModel
    baseline: ComparedModel
    samples: EvaluationSamples | str
    """Or why there are none."""
    fingerprint: str
    """Key of the device."""
    emulated: str | None = None
    """What emulates the device's processor, so that no time of it counts."""
    device: Device = local.DEVICE
    allow_code: bool = False
    """Whether the authors' own task may run."""
    note: Note = lambda text: None
    worker: Worker = run_worker
    """Runs the processes that are timed."""

    @property
    def text_length(self) -> int | None:
        """Of a prompt and of a context where both are decoders: half the longest text of the one that takes less."""
        interfaces = [side.bundle.interface for side in (self.run, self.baseline)]
        if not all(map(is_decoder, interfaces)):
            return None
        lengths = [axis.most for each in interfaces for axis in each.axes if axis.name != BATCH]
        return max(1, min(lengths) // 2)


class Finding(NamedTuple):
    """The finding of a gate, before the correction for the number of gates."""

    gate: str
    unit: Unit
    got: float | None
    allowed: float | None
    text: str
    verdict: Verdict
    """Of a statistical gate that has a p-value: what it is if it does not fail."""
    interval: Interval | None = None
    p_value: float | None = None
    evidence: dict[str, Any] = {}


class Gate(NamedTuple):
    """One member."""

    name: str
    kind: Kind
    unit: Unit
    config: type[Settings]
    """What a policy may say of it; all of it has defaults."""
    judge: Callable[[ComparedPair, Any, int], tuple[Finding, ...]]
    """Pair, its part of the policy, the look (0, or 1 with everything measured anew) -> what it
    found. Raises InputError for samples that do not fit, MachineError if an engine does not run."""


class GateEntry(NamedTuple):
    """One line of the table."""

    module: str
    kind: Kind
    summary: str

    def load(self) -> Gate:
        """The gate itself; imports its module."""
        gate: Gate = importlib.import_module(self.module).GATE
        return gate


def judge_exact(
    gate: str,
    unit: Unit,
    got: float,
    allowed: float,
    text: str,
    evidence: dict[str, Any] | None = None,
) -> Finding:
    """Judge an exact figure: there is no noise, so more than allowed fails."""
    verdict: Verdict = "pass" if got <= allowed else "fail"
    return Finding(gate, unit, got, allowed, text, verdict, evidence=evidence or {})


def judge_interval(
    gate: str,
    unit: Unit,
    got: float,
    allowed: float,
    text: str,
    *,
    interval: Interval | None,
    p_value: float,
    evidence: dict[str, Any],
) -> Finding:
    """Judge an interval; it passes only if the whole interval is allowed."""
    shown_fine = interval is not None and interval.high <= allowed
    verdict: Verdict = "pass" if shown_fine else "inconclusive"
    return Finding(gate, unit, got, allowed, text, verdict, interval, p_value, evidence)


def not_measured_finding(
    gate: str, unit: Unit, reason: str, allowed: float | None = None
) -> Finding:
    """The finding of a gate that could not measure."""
    return Finding(gate, unit, None, allowed, NOT_MEASURED + reason, "inconclusive")


def is_failure(found: Finding, p_holm: float | None) -> bool:
    """Return whether a gate fails: an exact one by its number, a statistical one by its corrected p-value
    and an interval that lies wholly beyond what is allowed."""
    if p_holm is None or found.allowed is None or found.interval is None:
        return found.verdict == "fail"
    return p_holm <= LEVEL and found.interval.low > found.allowed


def compute_score_rows(
    pair: ComparedPair, side: ComparedModel, samples: EvaluationSamples, timeout_s: float
) -> tuple[Metric, NDArray[np.float64]]:
    """The task's score, and its rows [N, K] of a model's outputs, whose inputs are prepared as its own bundle says.

    Raises:
        InputError: if the samples do not fit the model, its outputs not the task, or the task may not run.
        WorkerFailed: if the engine crashes or hangs.
    """
    found = side.bundle
    task = load_task(found.dataset.task, allow_code=pair.allow_code)
    require_task_fits(found, task)
    asked = samples.split, found.dataset, task
    if side.sized is None:
        rows = scores.score_engine(side.engine, *asked, timeout_s=timeout_s, device=pair.device)
    else:
        rows = score_by_size(side.sized, *asked, timeout_s=timeout_s, device=pair.device)
    return task.score, rows[task.score.name]


def measure_peak_bytes(pair: ComparedPair, side: ComparedModel, timeout_s: float) -> int | None:
    """Peak resident bytes of one fresh process that loads and runs a model, of a decoder with the keys and values of a text;
    None if none is told.

    Raises:
        WorkerFailed: if the engine crashes or hangs.
    """
    rules, length = Rules(timeout_s=timeout_s), pair.text_length
    subject = side.subject if length is None else side.find_text_subject(CONTEXT, length)
    spec, reads = worker_spec(subject, rules)
    told = pair.worker("memory", spec, timeout_s=timeout_s, reads=reads)
    peak: int | None = told["peak_rss_bytes"]
    return peak
