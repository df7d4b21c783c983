"""Which losses and schemes fit a task, by what it gives and is compared with. Imports no torch."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.errors import find_nearest
from edgekd.interface import BATCH
from edgekd.interface import Tensor
from edgekd.learn.signals import OF_KIND
from edgekd.learn.signals import SIDES
from edgekd.learn.signals import SIGNALS
from edgekd.learn.signals import choose_output
from edgekd.learn.signals import compares_kind
from edgekd.learn.signals import find_signal
from edgekd.learn.signals import has_places
from edgekd.learn.signals import is_classifier
from edgekd.learn.signals import needs
from edgekd.modules import locate
from edgekd.table import OWN
from edgekd.table import Member
from edgekd.task import Scale
from edgekd.tasks import BUILT_IN

NEXT = "next_tokens"
"""The target of models that say what comes next."""
LABELS = ("labels", "label_indices", "targets")


class TaskEnds(NamedTuple):
    """Outputs and targets of a task, known when a recipe is read."""

    outputs: tuple[Tensor, ...]
    """What a model gives."""
    targets: tuple[str, ...]
    """Names of what it is compared with."""
    inputs: tuple[str, ...] = ()
    """Kinds of the fields that a model takes; empty if that is not known."""
    metrics: tuple[Scale, ...] = ()
    """How its metrics are read, the score first; empty if that is not known."""


CLASSIFIER = TaskEnds(
    (Tensor("logits", "float32", (BATCH, "classes"), "logits", class_axis=1, target="labels"),),
    ("labels",),
)
"""One class a sample, of whatever is seen."""


def find_loss_misfit(name: str, member: Member, ends: TaskEnds, output: str = "") -> str:
    """Say why a loss cannot be computed for a task; empty if it can.

    Args:
        name: what the recipe calls it.
        member: the loss.
        ends: of the task.
        output: which output it is pointed at, where the recipe says.
    """
    asked = needs(member)
    for kind in OF_KIND:
        if not compares_kind(kind, asked, ends.targets):
            continue
        try:
            end = choose_output(kind, ends.outputs, output)
        except ValueError as error:
            return f"got {name!r}: {error}"
        if fault := _find_fault(member, asked, end):
            return f"got {name!r}, which {fault}"
    offered = [name for name in SIGNALS if name not in sum(OF_KIND.values(), ())]
    offered += [name for kind, names in OF_KIND.items() for name in names if _has(ends, kind)]
    offered += [f"{side}_{end.name}" for end in ends.outputs for side in SIDES]
    offered += [
        f"{side}_{end.name}_map" for end in filter(has_places, ends.outputs) for side in SIDES
    ]
    offered += ends.targets
    for each in asked:
        if each not in offered:
            hint = f"{find_nearest(each, offered)} A knob comes after `*`"
            return f"got {name!r}, which takes {each!r}, want a signal of this task; {hint}"
    return ""


def _has(ends: TaskEnds, kind: str) -> bool:
    return any(end.kind == kind for end in ends.outputs)


def _find_fault(member: Member, asked: Sequence[str], end: Tensor) -> str:
    """Why a loss cannot take one output, as the rest of a sentence; empty if it can."""
    single = end.kind == "logits" and end.class_axis < 1
    if single and (member.logits == "classes" or "label_indices" in asked):
        return f"compares classes of which one is right; each of {end.name!r} is right or wrong by itself"
    if member.logits == "single" and not single:
        return f"takes each class by itself; of {end.name!r} one is right"
    if not end.target and set(asked) & set(LABELS):
        return f"compares with labels; {end.name!r} has no target"
    if has_places(end) and _is_per_sample(member, asked):
        return f"compares whole samples; {end.name!r} has many rows a sample"
    return ""


def _is_per_sample(member: Member, asked: Sequence[str]) -> bool:
    """Return whether the table says so, or a loss compares rows of outputs with what there is one of a sample."""
    inside = any(find_signal(each).source == "layers" for each in asked)
    return member.per == "sample" or inside or "sample_indices" in asked


def find_scheme_misfit(name: str, member: Member, ends: TaskEnds) -> str:
    """Say why a scheme, or what makes samples, cannot serve a task; empty if it can."""
    if member.inputs and ends.inputs and member.inputs != ends.inputs:
        wanted, got = " and ".join(member.inputs), ", ".join(ends.inputs)
        return f"got {name!r}, which takes {wanted} alone, and this task's data have {got}"
    if member.per == "next-token" and not any(end.target == NEXT for end in ends.outputs):
        given = ", ".join(f"{end.name} {_shape(end)}" for end in ends.outputs)
        return f"got {name!r}, which is for models that say what comes next, and this task's models give {given}"
    if member.per == "sample" and not is_classifier(ends.outputs):
        given = ", ".join(f"{end.name} {_shape(end)}" for end in ends.outputs)
        return f"got {name!r}, which is for one class a sample, and this task's models give {given}"
    return ""


def _shape(end: Tensor) -> str:
    return f"[{', '.join(map(str, end.shape))}]"


def read_ends(name: str) -> TaskEnds | None:
    """Return what a task says of its outputs and targets, read from its text: nothing of it is run.

    Args:
        name: of `edgekd.tasks`, or ``python:package.module:TASK``.

    Returns:
        None for a task that is made in another way than by ``NAME = Task(...)`` of plain values.
    """
    entry = BUILT_IN.get(name)
    module, _, variable = (f"{entry.module}:TASK" if entry else name.removeprefix(OWN)).partition(
        ":"
    )
    location = locate(module)
    if location is None or location.file is None or location.file.suffix != ".py":
        return None
    try:
        with files.open_regular(location.file) as file:
            tree = ast.parse(file.read())
        words = next(words for words in map(_task_words, tree.body) if words.get("") == variable)
        outputs = tuple(map(_read_tensor, words["outputs"].elts))
        targets = tuple(ast.literal_eval(words["targets"]))
    except (StopIteration, KeyError, ValueError, TypeError, AttributeError, SyntaxError):
        return None
    return TaskEnds(outputs, targets, metrics=_read_scales(words))


def _read_scales(words: Mapping[str, Any]) -> tuple[Scale, ...]:
    """Return what ``metrics=(Metric("name", "unit", "better", ...), ...)`` says; empty if one is not written there."""
    try:
        said = [list(map(ast.literal_eval, metric.args[:3])) for metric in words["metrics"].elts]
        return tuple(Scale(name, unit, better) for name, unit, better in said)
    except (KeyError, AttributeError, ValueError, TypeError):
        return ()


def _task_words(node: ast.stmt) -> dict[str, Any]:
    """The name that ``NAME = Task(...)`` gives, as ``""``, and its keywords; else nothing."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Call):
        return {}
    (target,) = node.targets if isinstance(node, ast.Assign) else (node.target,)
    if not ast.unparse(node.value.func).endswith("Task") or not isinstance(target, ast.Name):
        return {}
    return {"": target.id, **{word.arg: word.value for word in node.value.keywords if word.arg}}


def _read_tensor(node: ast.Call) -> Tensor:
    """
    Raises:
        ValueError, TypeError, AttributeError: if it is no ``Tensor(...)`` of plain values.
    """
    words = {str(word.arg): _read_value(word.value) for word in node.keywords}
    return Tensor(*map(_read_value, node.args), **words)


def _read_value(node: ast.expr) -> Any:
    if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node).endswith("BATCH"):
        return BATCH
    if isinstance(node, ast.Tuple):
        return tuple(map(_read_value, node.elts))
    return ast.literal_eval(node)
