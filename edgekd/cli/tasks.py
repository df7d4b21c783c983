"""``edgekd tasks``: what a model may be asked, with the data, outputs, metrics and recipe of each task."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

import click

from edgekd.cli import completions
from edgekd.cli.screen import echo
from edgekd.cli.screen import print_columns
from edgekd.cli.screen import print_json

if TYPE_CHECKING:
    from edgekd.interface import Tensor
    from edgekd.task import Metric
    from edgekd.task import Task

OWN_LOSS = "python:my_losses:loss"
RECIPE = """\
name: {name}
task: {task}
data:
  source: {source}
teacher:
  model: {teacher}
student:
  model: {student}
learn:
  - step: distil
    knowledge: {knowledge}
    losses:
{losses}
targets:
  - runtime: onnxruntime
"""
FILE_RECIPE = """\
name: {name}
task: {task}
data:
  source: {source}
student:
  model: {student}
learn:
  - step: quantize
targets:
  - runtime: onnxruntime
"""
"""Where a model's own answers stand for labels."""


@click.command(epilog="Examples: edgekd tasks; edgekd tasks classification")
@click.argument("name", required=False, shell_complete=completions.complete_task)
@click.option("--allow-code", is_flag=True, help="Let python:package.module:TASK run.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str | None, allow_code: bool, as_json: bool) -> None:
    """List the tasks a recipe may name; or show NAME: which data it wants, what a model gives, how that is judged
    and a recipe. NAME may be your own, python:package.module:TASK, with --allow-code."""
    if name is None:
        rows = [(key, _summarize(key)) for key in _names()]
        if as_json:
            print_json([{"name": key, "summary": summary} for key, summary in rows])
        else:
            print_columns(rows)
        return
    described = describe_task(name, allow_code=allow_code)
    if as_json:
        print_json(described)
    else:
        _show(described)


def _names() -> Iterator[str]:
    from edgekd import plugins
    from edgekd.tasks import BUILT_IN

    yield from BUILT_IN
    yield from (name for name in plugins.list_plugins("task") if name not in BUILT_IN)


def _summarize(name: str) -> str:
    """One line about a task: the table's, or whose it is; nothing is imported for it."""
    from edgekd import plugins
    from edgekd.tasks import BUILT_IN

    if name in BUILT_IN:
        return BUILT_IN[name].summary
    owners = plugins.list_plugins("task").get(name, ())
    return f"plugin of {' and '.join(map(str, owners))}" if owners else "your own"


def describe_task(name: str, *, allow_code: bool = False) -> dict[str, Any]:
    """All that is known of a task without data, in JSON's types.

    Raises:
        InputError: as `edgekd.tasks.load_task`.
    """
    from edgekd.tasks import load_task

    task = load_task(name, allow_code=allow_code)
    return {
        "name": name,
        "summary": _summarize(name),
        "targets": dict(task.targets),
        "inputs": list(_input_kinds()),
        "outputs": [_describe_output(output) for output in task.outputs],
        "metrics": [_describe_metric(metric, task) for metric in task.metrics],
        "least_agreement": task.least_agreement,
        "losses": list(task.losses),
        "soft_losses": [_loss_text(loss) for loss in task.soft_losses],
        "sources": list(_sources(task)),
        "recipe": make_recipe_text(name, task),
    }


def _input_kinds() -> Iterator[str]:
    """Kinds of fields that a model takes."""
    from edgekd.field import Field
    from edgekd.fields import FIELDS

    for kind, entry in FIELDS.items():
        if entry.load().tensors is not Field.tensors:
            yield kind


def _describe_output(output: Tensor) -> dict[str, Any]:
    return {
        "name": output.name,
        "type": output.dtype,
        "shape": list(output.shape),
        "kind": output.kind,
        "target": output.target,
    }


def _describe_metric(metric: Metric, task: Task) -> dict[str, Any]:
    return {
        "name": metric.name,
        "unit": metric.unit,
        "better": metric.better,
        "perfect": metric.perfect,
        "score": metric is task.score,
        "chance": metric is task.chance,
    }


def _loss_text(loss: str | Mapping[str, Any]) -> str:
    """As a recipe names it."""
    if isinstance(loss, str):
        return loss
    return f"{{{', '.join(f'{key}: {value}' for key, value in loss.items())}}}"


def _sources(task: Task) -> Iterator[str]:
    """Data sources that give every target, or whatever the user's code gives."""
    from edgekd.learn.data import SOURCES

    for name, member in SOURCES.items():
        if task.from_answers and len(member.gives) > 1:
            continue
        if not member.gives or set(task.targets.items()) <= set(member.gives.items()):
            yield name


def make_recipe_text(name: str, task: Task) -> str:
    """A whole recipe for a task."""
    from edgekd.tasks import BUILT_IN
    from edgekd.tasks import Example

    example = BUILT_IN[name].example if name in BUILT_IN else Example()
    losses = "\n".join(f"      - {loss}" for loss in example.losses or task.losses or [OWN_LOSS])
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-")
    text = FILE_RECIPE if task.from_answers else RECIPE
    return text.format(
        name=plain[:40] or "recipe",
        task=name,
        source=example.source,
        teacher=example.teacher,
        student=example.student,
        losses=losses,
        knowledge=example.knowledge,
    )


_SENSES = {"higher": "higher is better", "lower": "lower is better"}
_UNITS = {"fraction": "told in percent", "number": "a number"}


def _show(described: dict[str, Any]) -> None:
    from edgekd.fields import FIELDS

    echo(f"{described['name']}: {described['summary']}\n\nTargets, which every sample has:")
    print_columns(
        [(f"  {name}", kind, FIELDS[kind].summary) for name, kind in described["targets"].items()]
    )
    echo("\nInputs, all other fields of the data, of any name:")
    print_columns([(f"  {kind}", FIELDS[kind].summary) for kind in described["inputs"]])
    echo("\nOutputs, in the order in which a model gives them:")
    print_columns([_output_row(output) for output in described["outputs"]])
    echo("\nMetrics:")
    print_columns([_metric_row(metric) for metric in described["metrics"]])
    least = described["least_agreement"]
    echo(f"\nAgreement with the student in float32 below which none is timed: {100 * least:g} %")
    echo(f"\nLosses where a recipe says none: {', '.join(described['losses']) or 'none'}")
    echo(f"Of a teacher's answers: {', '.join(described['soft_losses']) or 'none'}")
    echo(f"Data sources: {', '.join(described['sources'])}")
    echo(f"\nA recipe:\n\n{described['recipe']}", nl=False)


def _output_row(output: dict[str, Any]) -> tuple[str, str, str]:
    shape = f"{output['type']} [{', '.join(map(str, output['shape']))}]"
    compared = f", compared with {output['target']}" if output["target"] else ""
    return f"  {output['name']}", shape, f"{output['kind']}{compared}"


def _metric_row(metric: dict[str, Any]) -> tuple[str, str, str]:
    roles = [
        "the score: it decides" if metric["score"] else "",
        "tells knowledge from guessing" if metric["chance"] else "",
    ]
    sense = f"{_UNITS[metric['unit']]}, {_SENSES[metric['better']]}"
    return f"  {metric['name']}", sense, "; ".join(filter(None, roles))
