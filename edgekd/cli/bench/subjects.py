"""What `edgekd bench` and `edgekd bench compare` are given to measure: models, opened and made ready."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekd.cli.screen import echo
from edgekd.cli.screen import running

if TYPE_CHECKING:
    from contextlib import ExitStack

    from edgekd.bench.user_inputs import UserInputs
    from edgekd.bench.user_models import Ask
    from edgekd.bench.user_models import Ready

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


def opened(given: Path, stack: ExitStack, key: Path | None = None) -> Path:
    """A bundle, in one file or not, as a folder whose every byte is as it was written, until `stack` is
    left; all else as it is.

    Args:
        given: what the user named.
        stack: holds what was unpacked.
        key: public key, PEM, that must have signed it; then it must be a bundle.

    Raises:
        InputError: if there is nothing there, or it is a folder without a sound bundle.
        BudgetMissed: if it was not signed with `key`.
        MachineError: if `key` cannot be used here.
    """
    from edgekd.bench import made_engines
    from edgekd.errors import InputError

    stored = str(given).startswith(made_engines.STORE)
    if not stored and not given.exists():
        raise InputError(f"{given}: No such file or directory")
    if stored or not (given.is_dir() or given.suffix == ".edgekd"):
        if key is not None:
            raise InputError(f"--key: got {given}, want a bundle, which can be signed")
        return given
    from edgekd import bundle
    from edgekd.bundle import archive
    from edgekd.bundle import signature
    from edgekd.errors import BudgetMissed

    try:
        folder = stack.enter_context(archive.opened(given))
        manifest = bundle.check(folder).manifest
    except BudgetMissed as error:  # nothing was measured that could miss a budget
        raise InputError(f"{error}, want it as it was written") from error
    signature.require(folder, manifest.digest, key)
    return folder


def opened_inputs(options: tuple[str, ...], stack: ExitStack) -> UserInputs:
    """What ``--inputs`` names, its files there and a bundle in one file opened.

    Raises:
        InputError: if a file is missing, or an option is unclear.
    """
    from edgekd.bench import user_inputs

    user = user_inputs.parsed(options)
    return user._replace(
        file=None if user.file is None else opened(user.file, stack),
        files={name: opened(path, stack) for name, path in user.files.items()},
    )


def engines(name: str | None) -> tuple[str, ...]:
    """The engine of this name alone, or any.

    Raises:
        InputError: if there is none of this name.
    """
    from edgekd import runtimes

    if name is None:
        return ()
    runtimes.find(name)
    return (name,)


def contender(given: Path, ask: Ask, stack: ExitStack, key: Path | None = None) -> Ready:
    """One model on the first engine that is asked for and there; its files stay until `stack` is left.

    Raises:
        InputError: if the model is missing or refused.
        MachineError: if the engine or the precision is not to be had there.
        Inconclusive: if the device is emulated.
    """
    import tempfile

    from edgekd.bench import made_engines
    from edgekd.bench import user_models
    from edgekd.bench.machine.site import describe

    site = describe(ask.device)
    want_real(site.emulated)
    running(f"{given.name}: compile")
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgekd-")))
    names = user_models.names_of([given])
    missing = site.missing if ask.runtimes else site.unable
    if not made_engines.is_one(given):
        ask = ask._replace(runtimes=user_models.usable(ask.runtimes, missing)[:1])
    ready = next(
        user_models.ready([opened(given, stack, key)], ask, scratch, names=names, missing=missing)
    )
    if ready.note:
        echo(f"note: {given.name}: {ready.note}", err=True)
    return ready


def want_real(emulated: str | None) -> None:
    """Nothing, if the device's processor is real.

    Raises:
        Inconclusive: if it is emulated: its times mean nothing.
    """
    from edgekd.errors import Inconclusive

    if emulated:
        raise Inconclusive(f"latency: not measured: emulated ({emulated})")
