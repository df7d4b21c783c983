"""Opens and prepares the models that `edgekd bench` and `edgekd bench compare` measure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import get_args

import click

from edgekd.api.measuring import find_missing_engines
from edgekd.api.measuring import require_real_processor
from edgekd.api.opening import open_model
from edgekd.cli.screen import echo
from edgekd.cli.screen import show_running
from edgekd.runtime import Precision

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from edgekd.bench.user_models import MeasureRequest
    from edgekd.bench.user_models import PreparedSubject

PRECISION = click.Choice(get_args(Precision))
BATCH = click.option(
    "--batch",
    type=click.IntRange(1, 4096),
    help="Samples a call.  [default: 1, or what the model is fixed at]",
)
SIZES = click.option(
    "--size",
    "sizes",
    metavar="NAME=N[,N...]",
    multiple=True,
    help="Size of a free axis, by its name or as INPUT.AXIS; INPUT=NxNxN for a whole shape. "
    "Several sizes are several rows.",
)
INPUTS = click.option(
    "--inputs",
    "fed",
    metavar="[NAME=]FILE",
    multiple=True,
    help="What to feed: .npy, .npz by names of inputs, golden .safetensors, or a bundle. NAME=FILE "
    "for one of several inputs, NAME=NUMBER to fill it.",
)


def require_engine(name: str | None) -> tuple[str, ...]:
    """The engine of this name alone; an empty tuple, which means any, without a name.

    Raises:
        InputError: if no engine has this name.
    """
    from edgekd import runtimes

    if name is None:
        return ()
    runtimes.find_entry(name)
    return (name,)


def prepare_contender(
    given: Path, request: MeasureRequest, stack: ExitStack, key: Path | None = None
) -> PreparedSubject:
    """Prepare one model for the first requested engine that is installed; its files last until `stack` is left.

    Raises:
        InputError: if the model is missing or refused.
        MachineError: if the engine or the precision is not to be had there.
        Inconclusive: if the device is emulated.
    """
    import tempfile

    from edgekd.bench import prebuilt_engines
    from edgekd.bench import user_models
    from edgekd.bench.machine.host import describe_host

    require_real_processor(describe_host(request.device).emulated)
    show_running(f"{given.name}: compile")
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgekd-")))
    names = user_models.short_names([given])
    missing = find_missing_engines(request)
    if not prebuilt_engines.is_prebuilt(given):
        request = request._replace(
            runtimes=user_models.require_runtimes(request.runtimes, missing)[:1]
        )
    ready = next(
        user_models.prepare_subjects(
            [open_model(given, stack, key)], request, scratch, names=names, missing=missing
        )
    )
    if ready.note:
        echo(f"note: {given.name}: {ready.note}", err=True)
    return ready


def print_advice(ready: Sequence[PreparedSubject]) -> None:
    """Print what makes a model slow that only another file can cure."""
    from edgekd import graph
    from edgekd.islands import dynamic

    for model in dict.fromkeys(one.model for one in ready if one.model.suffix == ".onnx"):
        if advice := dynamic.dynamic_warning(graph.read(model)):
            echo(f"note: {model.name}: {advice}", err=True)
    for model, note in dict.fromkeys((one.model, one.note) for one in ready if one.note):
        echo(f"note: {model.name}: {note}", err=True)
