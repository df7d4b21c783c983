"""Stage `evaluate`: the one read of the test set, for the report; nothing is chosen by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any
from typing import NamedTuple

from pydantic import Field

from edgekd import files
from edgekd.bench import scores
from edgekd.bench import sized_scores
from edgekd.bench.candidate import Candidate
from edgekd.bench.engine import Engine
from edgekd.bench.roles import CONTROL
from edgekd.bench.roles import STUDENT
from edgekd.bench.roles import find_reference
from edgekd.bench.score_interval import score_interval
from edgekd.bench.side_by_side import begin_side_by_side
from edgekd.bench.side_by_side import choose_width
from edgekd.bench.status import TIMED
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.settings import Settings
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.stage import take_own

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.field import Arrays
    from edgekd.learn.evaluation import EvaluationSplit

WEIGHTS = "_weights"


class EvaluateConfig(Settings):
    """The candidates whose answers are scored."""

    candidates: Annotated[tuple[Candidate, ...], Field(strict=False)]


def run(config: EvaluateConfig, given: Given, context: Context) -> Made:
    """Give test.json: the score of each model in torch float32 and of each measured row, and their metrics; and
    whether the student gains over its control, and candidates lose to what they are compared with, by more than chance.

    Where every sample is right or wrong that is how many the student alone, and its control alone, is right on;
    else 95 % intervals of how much worse one is than the other, by a paired bootstrap. Each score has one of its own.
    Where several engines were chosen by size, `by_size` has what they score together, each on the samples of its sizes.

    Takes test, data, choice; ``<model>_blueprint`` and ``<model>_weights`` for each model
    there is (`edgekd.bench.roles`, the quantized ones); ``<subject>/engine.json`` and its files; rows.
    """
    from edgekd.learn.evaluation import read_split
    from edgekd.sampling_error import drop_interval
    from edgekd.sampling_error import is_right_or_wrong
    from edgekd.task import metric_values

    test = read_split(given, "test", allow_code=context.allow_code)
    models = [name.removesuffix(WEIGHTS) for name in given if name.endswith(WEIGHTS)]
    score = test.task.score
    engines = list(_engines(config, given))

    def read_own(model: str) -> EvaluationSplit:
        return read_split(take_own(given, model), "test", allow_code=context.allow_code)

    def ask(asked: _Asked) -> Arrays | Exception:
        data, path = read_own(asked.model).dataset, take_own(given, asked.model)["test"]
        limits: dict[str, Any] = {"row_s": asked.row_s, "device": context.device}
        try:
            return scores.score_engine(asked.engine, path, data, test.task, **limits)
        except (MachineError, InputError, ValueError) as error:
            return error  # it cost hours to come here: one ends nothing

    width = choose_width(test.dataset, context.device)
    with begin_side_by_side(ask, engines, width) as answers:
        rows, answered = {}, []
        for number, model in enumerate(models):
            context.progress.update(number, len(models) + len(engines), f"{model} in torch")
            rows[model] = _judge_in_torch(model, read_own(model), given, context)
        for number, asked in enumerate(engines, len(models)):
            context.progress.update(number, len(models) + len(engines), asked.names[0])
            answered.append(next(answers))
    metrics = {model: metric_values(test.task, each) for model, each in rows.items()}
    counted = bool(rows) and all(
        is_right_or_wrong(score, each[score.name]) for each in rows.values()
    )
    found: dict[str, Any] = {model: each[score.name] for model, each in metrics.items()}
    found |= {"candidates": {}, "metrics": metrics, "right_or_wrong": counted}
    sure = {model: score_interval(score, each[score.name]) for model, each in rows.items()}
    if {STUDENT, CONTROL} <= rows.keys():
        student, control = rows[STUDENT][score.name], rows[CONTROL][score.name]
        if counted:
            found["student_alone"] = int(((student > control)[:, 0]).sum())
            found["control_alone"] = int(((control > student)[:, 0]).sum())
        else:
            found["student_below_control_ci95"] = drop_interval(score, student, control)
    intervals: dict[str, tuple[float, float]] = {}
    of_rows: dict[str, dict[str, float]] = {}
    for (names, *_), scored in zip(engines, answered, strict=True):
        if isinstance(scored, Exception):
            context.progress.note(f"{names[0]}: its test score is not measured: {scored}")
            continue
        values = metric_values(test.task, scored)
        of_rows |= dict.fromkeys(names, values)
        found["candidates"] |= dict.fromkeys(names, values[score.name])
        sure |= dict.fromkeys(names, score_interval(score, scored[score.name]))
        if not counted and rows:
            reference = rows[find_reference(rows)][score.name]
            interval = drop_interval(score, scored[score.name], reference)
            intervals |= dict.fromkeys(names, interval)
    found |= {"candidate_metrics": of_rows, "score_drop_ci95": intervals, "score_ci95": sure}
    if (sized := _sized(config, given)) is not None:
        try:
            rows_by_size = sized_scores.score_by_size(
                sized, given["test"], test.dataset, test.task, device=context.device
            )
            found["by_size"] = metric_values(test.task, rows_by_size)
        except (MachineError, InputError, ValueError) as error:
            context.progress.note(f"the test score of all sizes is not measured: {error}")
    goal = context.folder / "test.json"
    goal.write_bytes(files.canonical_json(found))
    return {"test.json": goal}


def _judge_in_torch(
    model: str, test: EvaluationSplit, given: Given, context: Context
) -> dict[str, NDArray[np.float64]]:
    """The rows of every metric, by its name."""
    from edgekd.learn import answers
    from edgekd.learn import arithmetic
    from edgekd.learn import blueprint

    paths = given[f"{model}_blueprint"], given[f"{model}_weights"]
    module = blueprint.load(*paths, allow_code=context.allow_code)
    with arithmetic.one_thread_if_small(answers.count_values(test.dataset, test.rows)):
        return test.judge(module)


class _Asked(NamedTuple):
    """An engine whose answers are scored."""

    names: list[str]
    """The rows it fills, those that were measured."""
    model: str
    engine: Engine
    row_s: float | None
    """The seconds that a sample takes at most."""


def _engines(config: EvaluateConfig, given: Given) -> Iterator[_Asked]:
    """Yield the engines that were measured.

    One engine answers for all thread counts and sizes, which do not change its answers.
    """
    rows = json.loads(given["rows"].read_bytes())
    measured = {
        row["name"]: row.get("usual_row") or row["name"] for row in rows if row["status"] in TIMED
    }
    for subject in config.candidates:
        about = json.loads(given[f"{subject.name}/engine.json"].read_bytes())
        engines = {
            name: engine
            for name, engine in subject.engines(about, given).items()
            if name in measured.values()
        }
        if engines:
            names = [name for name, usual in measured.items() if usual in engines]
            times_ms = [row["latency_p50_ms"] for row in rows if row["name"] in names]
            row_s = max(times_ms) / 1000 if all(times_ms) else None
            engine = max(engines.values(), key=lambda engine: engine.threads)
            yield _Asked(names, subject.model, engine, row_s)


def _sized(config: EvaluateConfig, given: Given) -> sized_scores.SizedEngines | None:
    """The engines that were chosen by size, if there are several."""
    found = json.loads(given["choice"].read_bytes()).get("by_size") or {"buckets": ()}
    names = [each["row"] for each in found["buckets"]]
    if len(set(names)) < 2:
        return None
    engines: dict[str, Engine] = {}
    for subject in config.candidates:
        about = json.loads(given[f"{subject.name}/engine.json"].read_bytes())
        engines |= subject.engines(about, given)
    bounds = tuple(each["most"] for each in found["buckets"][:-1])
    return sized_scores.SizedEngines(found["axis"], bounds, tuple(engines[n] for n in names))


STAGE = Stage("evaluate", EvaluateConfig, run, packages=("torch",), bound="device")
