"""Is a task, which anybody may have written, one that every part of edgekd can use?"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any
from typing import get_args

from edgekd.errors import find_nearest
from edgekd.fields import FIELDS
from edgekd.interface import BATCH
from edgekd.interface import DTYPES
from edgekd.interface import NAME
from edgekd.interface import Kind
from edgekd.interface import Tensor
from edgekd.task import Metric
from edgekd.task import Task
from edgekd.task import interface_of
from edgekd.task import list_fitting
from edgekd.task import metric_rows
from edgekd.units import number_text

if TYPE_CHECKING:
    from edgekd.dataset import Dataset
    from edgekd.field import Arrays

UNITS, SENSES = ("fraction", "number"), ("higher", "lower")


def require_sound(task: Task) -> None:
    """Refuse a task that lacks something, as far as can be known without data.

    Raises:
        ValueError: naming the first that is wrong.
    """
    _require(isinstance(task.targets, Mapping), "targets", task.targets, "kinds of fields by name")
    for name, kind in task.targets.items():
        _require_name(name, "targets")
        if kind not in FIELDS:
            raise ValueError(
                f"targets.{name}: got {kind!r}, want a kind; {find_nearest(str(kind), FIELDS)}"
            )
    some = bool(task.outputs) or task.from_answers
    _require(isinstance(task.outputs, tuple) and some, "outputs", task.outputs, "tensors")
    for output in task.outputs:
        _require_output(output, task)
    names = [output.name for output in task.outputs]
    _require(len(set(names)) == len(names), "outputs", ", ".join(names), "each name once")
    losses = task.losses
    texts = isinstance(losses, tuple) and all(isinstance(name, str) for name in losses)
    _require(texts, "losses", losses, "names of losses")
    soft = task.soft_losses
    named = isinstance(soft, tuple) and all(map(_is_loss, soft))
    _require(named, "soft_losses", soft, "names of losses, or mappings with `name`")
    _require(isinstance(task.metrics, tuple) and task.metrics, "metrics", task.metrics, "some")
    for metric in task.metrics:
        _require_metric(metric)
    names = [metric.name for metric in task.metrics]
    _require(len(set(names)) == len(names), "metrics", ", ".join(names), "each name once")
    _require(task.score.fits is None, "score", "one that fits some data alone", "one for any")
    known = task.chance_metric in ("", *names)
    _require(known, "chance_metric", task.chance_metric, f"one of: {', '.join(names)}")
    for name, count in (("decide", 2), ("agree", 2), ("guess", 2), ("describe", 3)):
        _require_function(getattr(task, name), name, count)
    if task.describe_inputs is not None:
        _require_function(task.describe_inputs, "describe_inputs", 4)
    if task.explain_chance is not None:
        _require_function(task.explain_chance, "explain_chance", 3)


def require_runs(task: Task, targets: Arrays, dataset: Dataset) -> None:
    """Run every function of a task once, on what its guess answers to these targets, and refuse what they give if
    nobody can use it.

    Args:
        task: a sound one.
        targets: of N samples, N > 1, as `Dataset.prepare_targets` gives them.
        dataset: theirs.

    Raises:
        ValueError: naming the function.
    """
    import numpy as np

    count = len(next(iter(targets.values())))
    outputs = _run("guess", task.guess, targets, dataset)
    ends = interface_of(task, dataset).outputs
    want = {output.name: len(output.shape) for output in ends}
    for name, axes in want.items():
        given = outputs.get(name) if isinstance(outputs, Mapping) else None
        got = () if given is None else np.shape(given)
        fits = len(got) == axes and got[0] == count
        _require(fits, f"guess, output {name}", list(got), f"{axes} axes, the first of {count}")
    halves = [{name: array[:1] for name, array in each.items()} for each in (outputs, targets)]
    for metric in list_fitting(task.metrics, dataset):
        rows = _run(metric.name, metric_rows, (metric,), outputs, targets, dataset)[metric.name]
        alone = _run(metric.name, metric_rows, (metric,), *halves, dataset)[metric.name]
        widths = alone.shape[1], rows.shape[1]
        _require(widths[0] == widths[1], metric.name, f"rows of {widths}", "rows of one width")
        value = _run(metric.name, metric.value, rows)
        _require(_is_number(value), metric.name, value, "a finite number as its value")
    decisions = _run("decide", task.decide, outputs, dataset)
    _require(isinstance(decisions, Mapping), "decide", decisions, "arrays by name")
    same = np.asarray(_run("agree", task.agree, decisions, decisions))
    _require(same.shape == (count,), "agree", list(same.shape), f"[{count}]")
    _require(np.allclose(same, 1), "agree", float(same.min()), "1 of decisions and themselves")
    lines = _run("describe", task.describe, decisions, dataset, 1)
    listed = isinstance(lines, list) and len(lines) == count
    _require(listed, "describe", type(lines).__name__, f"a list of {count}, one for each sample")


def _run(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:  # a user's code raises what it likes
        raise ValueError(f"{what}: raised {type(error).__name__}: {error}") from error


def _require_output(output: Any, task: Task) -> None:
    _require(isinstance(output, Tensor), "outputs", output, "edgekd.interface.Tensor")
    _require_name(output.name, "outputs")
    where = f"outputs.{output.name}"
    _require(output.dtype in DTYPES, f"{where}.dtype", output.dtype, f"one of: {', '.join(DTYPES)}")
    kinds = get_args(Kind)
    _require(output.kind in kinds, f"{where}.kind", output.kind, f"one of: {', '.join(kinds)}")
    shape = output.shape
    _require(
        isinstance(shape, tuple) and shape[:1] == (BATCH,),
        f"{where}.shape",
        shape,
        f"{BATCH} first",
    )
    for axis in shape:
        size = type(axis) is int and axis > 0
        _require(
            size or (isinstance(axis, str) and NAME.fullmatch(axis)),
            f"{where}.shape",
            axis,
            "names or sizes",
        )
    inside = type(output.class_axis) is int and output.class_axis < len(shape)
    _require(
        inside and (output.class_axis == -1 or output.class_axis >= 1),
        f"{where}.class_axis",
        output.class_axis,
        f"1 to {len(shape) - 1}, or -1",
    )
    targets = ("", *task.targets)
    _require(output.target in targets, f"{where}.target", output.target, f"one of: {targets}")


def _is_loss(loss: Any) -> bool:
    return isinstance(loss.get("name") if isinstance(loss, Mapping) else loss, str)


def _require_metric(metric: Any) -> None:
    _require(isinstance(metric, Metric), "metrics", metric, "edgekd.task.Metric")
    plain = isinstance(metric.name, str) and metric.name.strip() and metric.name.isprintable()
    _require(plain, "metrics", metric.name, "a name")
    where = f"metrics, {metric.name}"
    _require(metric.unit in UNITS, f"{where}, unit", metric.unit, f"one of: {', '.join(UNITS)}")
    _require(metric.better in SENSES, f"{where}, better", metric.better, "higher or lower")
    _require(_is_number(metric.perfect), f"{where}, perfect", metric.perfect, "a finite number")
    _require_function(metric.rows, f"{where}, rows", 3)
    _require_function(metric.value, f"{where}, value", 1)


def _require_function(function: Any, where: str, count: int) -> None:
    _require(callable(function), where, function, "a function")
    try:
        signature = inspect.signature(function)
    except ValueError:  # of what is written in C
        return
    try:
        signature.bind(*range(count))
    except TypeError:
        want = f"a function of {number_text(count, 'argument')}"
        raise ValueError(f"{where}: got {signature}, want {want}") from None


def _require_name(name: Any, where: str) -> None:
    _require(isinstance(name, str) and NAME.fullmatch(name), where, name, "a plain name")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and math.isfinite(value)


def _require(holds: object, where: str, got: object, want: str) -> None:
    if not holds:
        raise ValueError(f"{where}: got {str(got)[:80]!r}, want {want}")
