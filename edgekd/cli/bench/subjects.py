"""What `edgekd bench` and `edgekd bench compare` are given to measure: models, opened and made ready."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.cli.screen import running

if TYPE_CHECKING:
    from contextlib import ExitStack

    from edgekd.bench.user_models import Ask
    from edgekd.bench.user_models import Ready


def opened(given: Path, stack: ExitStack) -> Path:
    """A bundle in one file as a folder, until `stack` is left; all else as it is.

    Raises:
        InputError: if there is nothing there.
    """
    from edgekd.bench import made_engines
    from edgekd.errors import InputError

    if str(given).startswith(made_engines.STORE):
        return given
    if not given.exists():
        raise InputError(f"{given}: No such file or directory")
    if given.is_dir() or given.suffix != ".edgekd":
        return given
    from edgekd.bundle import archive

    return stack.enter_context(archive.opened(given))


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


def contender(given: Path, ask: Ask, stack: ExitStack) -> Ready:
    """One model on the first engine that is asked for and there; its files stay until `stack` is left.

    Raises:
        InputError: if the model is missing or refused.
        MachineError: if the engine or the precision is not to be had there.
        Inconclusive: if the device is emulated.
    """
    import tempfile

    from edgekd.bench import user_models
    from edgekd.bench.machine.site import describe

    site = describe(ask.device)
    want_real(site.emulated)
    running(f"{given.name}: compile")
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgekd-")))
    names = user_models.names_of([given])
    missing = site.missing if ask.runtimes else site.unable
    return next(
        user_models.ready([opened(given, stack)], ask, scratch, names=names, missing=missing)
    )


def want_real(emulated: str | None) -> None:
    """Nothing, if the device's processor is real.

    Raises:
        Inconclusive: if it is emulated: its times mean nothing.
    """
    from edgekd.errors import Inconclusive

    if emulated:
        raise Inconclusive(f"latency: not measured: emulated ({emulated})")
