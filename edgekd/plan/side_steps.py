"""Which steps of a plan a second process may make while the first one trains."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

from edgekd.bench.candidate import name_export
from edgekd.bench.roles import STUDENT
from edgekd.plan.rehearsal import LABEL
from edgekd.stage import Step
from edgekd.stages import check
from edgekd.stages import compile as compile_stage
from edgekd.stages import data
from edgekd.stages import distil
from edgekd.stages import export
from edgekd.stages import knowledge
from edgekd.stages import load
from edgekd.stages import measure
from edgekd.stages import open as open_stage
from edgekd.stages import quantize
from edgekd.stages import train
from edgekd.stages import tune

LEAST_EPOCHS = 20
"""Of the trainings on the way to the student: fewer are over before a second process has imported torch."""
TRAINING = {train.STAGE.name, distil.STAGE.name}
UNTIMED = TRAINING | {
    each.STAGE.name
    for each in (open_stage, data, load, check, tune, knowledge, quantize, export, compile_stage)
}
"""Stages that something may run beside, as long as `tune` has nothing to measure."""


def list_side_steps(todo: Sequence[Step]) -> tuple[str, ...]:
    """Return the labels of the steps that do not lead to the trained student and come before the measurement.

    None where a step times something, where trainings use more than one thread, where they are short, or where the
    rehearsal is over already.

    Args:
        todo: the plan, in order.
    """
    names = [step.stage.name for step in todo]
    timed = measure.STAGE.name
    before = todo[: names.index(timed)] if timed in names else todo
    by_label = {step.label: step for step in before}
    student = by_label.get(f"export-{name_export(STUDENT, '')}")
    if student is None or "blueprint" not in student.takes or LABEL not in by_label:
        return ()
    way = _list_ancestors(student, by_label)
    fits = all(step.stage.name in UNTIMED for step in before) and _leave_a_core(before)
    if not fits or LABEL in way or _count_epochs(by_label[label] for label in way) < LEAST_EPOCHS:
        return ()
    return tuple(step.label for step in before if step.label not in way)


def order_chain_first(todo: Sequence[Step], side: Sequence[str]) -> tuple[Step, ...]:
    """The steps of a plan, those that lead to the student before those of the second process."""
    if not side:
        return tuple(todo)
    first = max(number for number, step in enumerate(todo) if step.label in side) + 1
    own = [step for step in todo[:first] if step.label not in side]
    return (*own, *(step for step in todo[:first] if step.label in side), *todo[first:])


def _list_ancestors(step: Step, by_label: Mapping[str, Step]) -> set[str]:
    found: set[str] = set()
    waiting = [label for label, _ in step.takes.values()]
    while waiting:
        label = waiting.pop()
        if label in by_label and label not in found:  # what is made already stands in no plan
            found.add(label)
            waiting += [above for above, _ in by_label[label].takes.values()]
    return found


def _leave_a_core(steps: Iterable[Step]) -> bool:
    """Return whether every arithmetic is given, and is one of a single thread."""
    given = [step.settings for step in steps if isinstance(step.settings, tune.TuneConfig)]
    return bool(given) and all(
        one.threads == 1 and "auto" not in (one.precision, one.channels_last) for one in given
    )


def _count_epochs(steps: Iterable[Step]) -> int:
    return sum(
        step.settings.train.epochs
        for step in steps
        if isinstance(step.settings, train.TrainConfig | distil.DistilConfig)
    )
