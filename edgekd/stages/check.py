"""Stage `check`: what a recipe's losses compare is tried on untrained networks, before hours of training."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

from pydantic import Field

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.settings import Input
from edgekd.learn.settings import Losses
from edgekd.learn.settings import ModelName
from edgekd.learn.settings import reusing
from edgekd.settings import Count
from edgekd.settings import Settings
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage


class Network(Settings):
    """A model as a recipe says it."""

    model: ModelName
    input: Input | None
    norm: Literal["batch", "group"] = "batch"
    classes: Annotated[tuple[str, ...], Field(strict=False)] = ()


class Case(Settings):
    """One step of learning."""

    label: str
    student: Network
    teacher: Network
    losses: Losses
    batch_size: Count


class Config(Settings):
    """All steps that learn from a teacher."""

    cases: Annotated[tuple[Case, ...], Field(strict=False)]


def run(config: Config, given: Given, context: Context) -> Made:
    """Give plan.json: by step, the layers that its losses will read.

    Raises:
        InputError: names the step, the loss, and what it wants.
    """
    found = {}
    for case in config.cases:
        try:
            found[case.label] = _rows(case, given, context)
        except InputError as error:
            raise InputError(f"{case.label}: {error}", hint=error.hint) from error
    out = context.folder / "plan.json"
    out.write_bytes(files.pretty_json(found))
    return {"plan.json": out}


def _rows(case: Case, given: Given, context: Context) -> list[dict[str, object]]:
    import numpy as np

    from edgekd.learn import blueprint
    from edgekd.learn import classifier
    from edgekd.learn import reused
    from edgekd.learn.connection import connect

    plans = [
        classifier.blueprint_for(who.model, given["data"], who.input, who.classes, norm=who.norm)
        for who in (case.student, case.teacher)
    ]
    student, teacher = (blueprint.build(p, allow_code=context.allow_code) for p in plans)
    term = reusing(case.losses)
    if term is not None:
        try:
            student, _ = reused.through_teacher(student, plans[0], teacher, term.loss.arguments)
        except ValueError as error:
            raise InputError(f"loss {term.loss.name}: {error}") from error
    connected = connect(
        case.losses,
        student,
        teacher,
        plans[0].blank(case.batch_size),
        classes=plans[0].classes,
        samples=len(np.load(given["train_labels"], mmap_mode="r", allow_pickle=False)),
    )
    return [row._asdict() for row in connected.rows]


STAGE = Stage("check", 1, Config, run, packages=("torch",))
