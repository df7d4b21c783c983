"""What rank 0 asks of the other ranks: to run a stage with it, described as plain JSON."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgekd.errors import InputError
from edgekd.launch.environment import Launch
from edgekd.launch.environment import read_launch
from edgekd.launch.environment import work_alone
from edgekd.launch.scratch import open_scratch_folder
from edgekd.launch.team import FirstRank
from edgekd.launch.team import Order
from edgekd.launch.team import OtherRank
from edgekd.launch.team import Team
from edgekd.progress import Silent
from edgekd.run import Options
from edgekd.settings import Settings
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Stage
from edgekd.stage import Step
from edgekd.store import Store

SHARED = {
    "train": "edgekd.stages.train",
    "distil": "edgekd.stages.distil",
    "quantize": "edgekd.stages.quantize",
    "knowledge": "edgekd.stages.knowledge",
}
"""Stages that every rank runs, and the modules of them."""


def describe_order(step: Step, given: Given, context: Context) -> Order:
    """Describe the work of a step for other ranks, which see the same files."""
    return {
        "stage": step.stage.name,
        "settings": dump_settings(step.settings),
        "given": {name: str(path.resolve()) for name, path in given.items()},
        "checkpoints": str(context.checkpoints.resolve()),
        "seed": context.seed,
    }


def carry_out_order(order: Order, options: Options) -> None:
    """Run a stage with the other ranks; what it makes here is thrown away, for rank 0 makes the same.

    Raises:
        InputError: if this rank does not see a file that rank 0 gave.
        EdgekdError: as the stage does.
    """
    given = {name: Path(path) for name, path in order["given"].items()}
    for path in given.values():
        if not path.exists():
            raise InputError(f"{path}: is not there, want it on every machine")
    stage = find_stage(order["stage"])
    settings = stage.settings.model_validate_json(json.dumps(order["settings"]))
    with open_scratch_folder() as folder:
        context = Context(
            folder=folder,
            checkpoints=Path(order["checkpoints"]),
            seed=order["seed"],
            progress=Silent(),
            allow_code=options.allow_code,
            allow_download=options.allow_download,
            data_dir=options.data_dir,
        )
        stage.run(settings, given, context)


def find_stage(name: str) -> Stage:
    """The stage of that name, one of `SHARED`.

    Raises:
        KeyError: if it is another.
    """
    stage: Stage = importlib.import_module(SHARED[name]).STAGE
    return stage


def dump_settings(settings: Settings) -> dict[str, Any]:
    """All values as JSON, those too that are no part of a key."""
    values = settings.model_dump(mode="json")
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, Settings) and name in values and isinstance(values[name], dict):
            values[name] |= dump_settings(value)
        elif field.exclude:
            values[name] = value
    return values


def require_even_batches(steps: Sequence[Step], launch: Launch | None = None) -> None:
    """Refuse a batch that the ranks cannot share evenly before anything is trained.

    Raises:
        InputError: naming the step.
    """
    count = (launch or read_launch()).size
    for step in steps:
        training = getattr(step.settings, "train", None) if step.stage.name in SHARED else None
        size = getattr(training, "batch_size", None)
        if size is not None and size % count:
            raise InputError(
                f"{step.label}: train.batch_size: got {size}, want a multiple of {count}, the number of ranks"
            )


def run_with_others(options: Options, work: Callable[[Options], Any]) -> Any:
    """Do `work` on rank 0, while the other ranks take part where it asks them to; without a launcher just do it.

    Args:
        options: of the run.
        work: takes options that know of the other ranks; gives plain JSON.

    Returns:
        What it gives, on all ranks.

    Raises:
        InputError: if not all ranks see one store.
        RankFailed: if another rank failed or was lost.
        ReportedElsewhere: on another rank, if rank 0 prints why the run ended.
        BaseException: as `work` does.
    """
    launch = read_launch()
    if launch.size == 1:
        return work(options)
    from edgekd.learn.parallel import meeting

    store = Store(options.store).open().root
    if launch.rank:
        other = OtherRank(meeting.find_first(launch, store), launch.is_first_of_others)
        return other.follow(lambda order: carry_out_order(order, options))
    first = FirstRank(meeting.meet_others(launch, store))
    return first.run(lambda: work(dataclasses.replace(options, team=first)))


@contextmanager
def share_step(step: Step, given: Given, context: Context, team: Team | None) -> Iterator[None]:
    """Inside, the other ranks run the stage of a step, too, if it is one that they share; else this one is alone."""
    if team is None or step.stage.name not in SHARED:
        with work_alone():
            yield
        return
    team.share(describe_order(step, given, context))
    yield
