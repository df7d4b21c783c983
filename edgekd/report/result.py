"""The published schema of result.json, ``edgekd.result/2``.

History: 1, the first; with quantized models since 0.2: `quantized`, and a row's `profile`,
`parity_steps` and `islands`; since 0.3 `machine`, a row's `latency_caller_p50_ms`, and a limit that is
``open``, the resolved recipe, what the command line changed, dates and durations, plugins. 2: any task's score, and
later `files`, `durations_s`, `versions`, `scales`, `by_size` and a row's `share` and `float_agreement`; `accuracy` became `score`, `validation_accuracy` `validation_score`, `top1_agreement` `agreement`,
`points_below_teacher` `score_drop`, `points_ci95` `score_drop_ci95`; new are `task`, `metric`, `metrics`, `test_metrics`, and a row's `reason`, which stood in its `status`; a row's `sizes` and `usual_row`; `teacher` and
`control` may be null, and `reference` is there where a run without a teacher changed the float student it began with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from typing import Literal

from pydantic import ValidationError

from edgekd import files
from edgekd.bench.budget import LimitVerdict
from edgekd.bench.roles import MeasuredRole
from edgekd.errors import InputError
from edgekd.report.result_row import Interval
from edgekd.report.result_row import Number
from edgekd.report.result_row import Row
from edgekd.settings import Fraction
from edgekd.settings import NonNegative
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.settings import omit_default

FORMAT, OLDER = "edgekd.result/2", ("edgekd.result/1",)
FILE = "result.json"


class MetricScale(Settings):
    """Name, unit and direction of the score."""

    name: str
    unit: Literal["fraction", "number"]
    """Of a fraction differences are percentage points, of a number the metric's own unit."""
    better: Literal["higher", "lower"]


class Model(Settings):
    """A trained network, in torch float32."""

    model: str
    """Its builder."""
    score: Number | None
    """On the test set; null if it was not evaluated."""
    score_ci95: Interval | None = None
    """95 % interval of it over the samples."""
    validation_score: Number
    """On the validation split."""
    validation_ci95: Interval | None = None
    """The same of it; null unless a score is the share of samples that are right."""
    metrics: dict[str, Number] = {}
    """All of the task's on the validation split, by name."""
    test_metrics: dict[str, Number] = {}
    """The same on the test set; empty if it was not evaluated."""
    parameters: Whole
    macs: Whole
    """Multiply-accumulates for one sample."""
    near_chance: bool = omit_default(False)
    """Whether it hardly does better than guessing on the validation split."""


class LimitResult(Settings):
    """One line of the budget."""

    limit: str
    want: Any
    got: Any
    verdict: LimitVerdict
    """``open``: what was measured keeps the limit, and its interval does not."""
    message: str = ""
    """The same as a sentence."""


class Comparison(Settings):
    """The chosen candidate beside the fp32 ONNX of the teacher, or else of what the run began with, on the same engine
    and threads."""

    reference: str
    role: MeasuredRole = omit_default("teacher")
    """Whose row that is: without a teacher ``reference``, or ``student`` where no step changed its float model."""
    times_smaller: NonNegative
    times_faster: NonNegative
    times_faster_ci95: Interval | None
    """The worst and best ratio of the two intervals."""
    score_drop: float
    """How much worse the candidate's test score is than that one's: percentage points of a fraction, else in the
    metric's unit; negative where it is better."""
    score_drop_ci95: Interval | None
    """Of a share of samples that are right, the normal approximation for two unpaired proportions: wider than a
    paired test's. Else of a paired bootstrap."""
    paired: bool = False
    """Whether that interval is of paired samples."""


class SizeChoice(Settings):
    """Which candidate answers at one size."""

    size: Whole
    """The timed size."""
    most: Whole | None
    """Largest size of its samples, which are longer than those of the line before; null in the last: any."""
    share: Fraction
    """Part of the validation samples."""
    row: str
    """Name of the candidate."""
    latency_p50_ms: NonNegative
    one_for_all_ms: NonNegative
    """The same of the one that would serve all sizes."""


class ChoiceBySize(Settings):
    """The choice by the size of a sample beside one candidate for all."""

    axis: str
    """Name of the free axis."""
    one_for_all: str
    """Name of the candidate that is chosen at the usual sizes; it alone is shipped where every size is its."""
    buckets: tuple[SizeChoice, ...]
    """By ascending size."""
    gain: NonNegative
    """How many times faster the validation samples are answered than by the one for all; 1 if that is shipped alone."""
    size_bytes: Whole | None
    """Files of all engines that are shipped."""
    one_for_all_size_bytes: Whole | None
    why: str
    test_metrics: dict[str, Number] = {}
    """What all together score on the test set, by name; empty where one serves all."""


class Machine(Settings):
    """Fitness of the machine while it measured."""

    canary_ms: tuple[float, ...]
    """Times of a small fixed piece of work between processes."""
    canary_variation: float | None
    """Standard deviation over mean; above 0.05 the machine drifted."""
    drifts: bool
    reasons: tuple[str, ...]
    """Why numbers do not count."""
    warnings: tuple[str, ...]
    """What may have widened intervals."""


class StepOrigin(Settings):
    """The store's key of one step, and its files."""

    key: str
    files: dict[str, str]
    """File to SHA-256."""
    made_at: str | None = None
    """When it was made, UTC."""
    took_s: NonNegative | None = None
    """How long that took; a run that finds it in the store takes no time."""
    model_bytes: Whole | None = None
    """Of its weights or ONNX file; null of a step that makes no model."""
    commits: dict[str, str] = {}
    """Repositories of a hub that it read, to the commit of what it read there."""


class UsedPlugin(Settings):
    """A member of a table that an installed distribution adds."""

    kind: str
    """A key of `edgekd.plugins.GROUPS`: ``loss``, ``runtime``."""
    name: str
    """What the recipe calls it."""
    reference: str
    """``package.module:function``."""
    distribution: str
    version: str


class DeliveredFile(Settings):
    """A file that a run hands over beside report and bundle."""

    name: str
    """Relative to the folder of result.json."""
    size_bytes: Whole
    meaning: str


class Result(Settings):
    """result.json."""

    format: Literal["edgekd.result/2"]
    edgekd: str
    """Version that wrote it."""
    recipe: str
    """Its name."""
    recipe_digest: str
    resolved_recipe: dict[str, Any] = {}
    """All that was carried out: the recipe with its defaults and what the command line changed."""
    overrides: tuple[str, ...] = ()
    """What the command line changed, ``KEY=VALUE``."""
    date: str | None = None
    """When the last of its steps was made, UTC."""
    task: str
    """A name of `edgekd tasks`, or ``python:package.module:TASK``."""
    metric: MetricScale
    """The task's first, which is the score."""
    scales: tuple[MetricScale, ...] = ()
    """Of all metrics that say something of these data, the score first; empty in results before there were several."""
    data: dict[str, Any]
    """Source, counts of the splits, classes."""
    teacher: Model | None = None
    """Null where the recipe has none."""
    reference: Model | None = omit_default(None)
    """The float student that the run began with, where there is no teacher and later steps changed it."""
    control: Model | None = None
    """The student's network trained without a teacher; null where there is none."""
    student: Model
    quantized: dict[str, Model] = {}
    """The student with rounded weights and activations, by numerics (`edgekd.profile.NUMERICS`)."""
    candidates: tuple[Row, ...]
    references: tuple[Row, ...]
    """Rows of the teacher, or else of what the run began with; never chosen. Empty where that is the student in
    float32, among the candidates."""
    chosen: str | None
    """Name of a candidate."""
    why: str
    nearest: str | None
    """The candidate that misses the budget least, where none is inside."""
    by_size: ChoiceBySize | None = omit_default(None)
    """Null where not several sizes of one axis were timed that samples have."""
    budget: tuple[LimitResult, ...]
    comparison: Comparison | None
    warnings: tuple[str, ...]
    environment: dict[str, Any]
    """What the measuring machine is."""
    machine: Machine | None = None
    """How fit it was; null in results before it was asked."""
    lineage: dict[str, StepOrigin]
    """By label of the step."""
    files: tuple[DeliveredFile, ...] = ()
    """The student in torch and what was exported; empty in results before they were handed over."""
    durations_s: dict[str, NonNegative] = {}
    """By stage, how long its steps took when they were made."""
    versions: dict[str, str] = {}
    """Of Python and the packages on which the results depend, on the machine that learned."""
    plugins: tuple[UsedPlugin, ...] = ()
    """Members of tables that installed distributions add, where they were used: losses, tasks, engines."""


def schema() -> dict[str, Any]:
    """JSON schema of result.json."""
    return Result.model_json_schema()


def read(run_dir: Path) -> Result:
    """The result of a finished run.

    Raises:
        InputError: if there is none, or it does not fit the schema.
    """
    path = run_dir / FILE
    if not path.is_file():
        raise InputError(
            f"{run_dir}: got no {FILE}, want the folder of a finished run",
            hint="edgekd compress RECIPE",
        )
    value = files.read_json(path)
    older = value.get("format") if isinstance(value, dict) else None
    if older in OLDER:
        raise InputError(
            f"{path}: got {older}, want {FORMAT}",
            hint=f"run its recipe again, or give its bundle, {run_dir / 'bundle'}",
        )
    try:
        return Result.model_validate_json(files.canonical_json(value))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "result"
        raise InputError(f"{path}: {where}: {first['msg']}, want {FORMAT}") from error
