"""The models a user names on the command line, compiled or taken as they are, ready to be measured."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.admission import external_data
from edgekd.bench import made_engines
from edgekd.bench.build import build
from edgekd.bench.engine import ONNX
from edgekd.bench.engine import Engine
from edgekd.bench.session import Subject
from edgekd.device import Device
from edgekd.devices import local
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.runtimes import RUNTIMES

BUNDLED, BUNDLED_GOLDEN = "model.onnx", "golden.safetensors"


class Ask(NamedTuple):
    """What to measure each model with; every combination is one subject."""

    runtimes: tuple[str, ...]
    """Empty for all that are installed. An engine that is made already brings its own."""
    precisions: tuple[str, ...]
    threads: tuple[int, ...]
    batch: int
    timeout_s: float
    inputs: Path | None = None
    """What all are fed: .npy, golden .safetensors or a bundle; None for a bundle's own, or seeded."""
    store: Path | None = None
    """Where ``store:KEY`` is looked up; None for the default store."""
    device: Device = local.DEVICE


class Ready(NamedTuple):
    """One subject and what a result says about it."""

    subject: Subject
    model: Path
    """The file that names it: the ONNX file, the IR's graph, an engine's main file."""
    runtime_version: str
    sha256: str | None = None
    """Of what was given, weights that lie beside it put in, before it was used; None to take it from
    `model`."""


def usable(
    asked: Sequence[str], missing: Mapping[str, str | None] | None = None
) -> tuple[str, ...]:
    """The asked runtimes, or all that are installed.

    Args:
        asked: names.
        missing: by runtime why it cannot be used, or None; of this machine if left out. For any
            engine, one that cannot run what it builds is missing too.

    Raises:
        MachineError: if one that is asked for, or every one, is not installed.
    """
    if missing is None:
        missing = {name: _missing(name, run=not asked) for name in asked or RUNTIMES}
    for name in asked:
        if missing.get(name) is not None:
            raise MachineError(str(missing[name]))
    found = tuple(asked) or tuple(name for name, reason in missing.items() if reason is None)
    if not found:
        raise MachineError("no engine is installed", hint="pip install 'edgekd[onnxruntime]'")
    return found


def _missing(name: str, *, run: bool) -> str | None:
    """Why a runtime cannot build here, or with `run`, cannot run what it builds."""
    runtime = RUNTIMES[name].load()
    return runtime.why_not() or (runtime.why_not_run() if run else None)


def ready(
    models: Sequence[Path],
    ask: Ask,
    scratch: Path,
    *,
    names: Sequence[str] | None = None,
    missing: Mapping[str, str | None] | None = None,
) -> Iterator[Ready]:
    """Compile each model for each runtime and precision into `scratch`; engines stay as they are.

    Args:
        models: ONNX files, bundle folders, IR graphs, or ``store:KEY``.
        ask: with what.
        scratch: an empty folder.
        names: what to call them; from their paths if left out.
        missing: as `usable` takes it.

    Raises:
        InputError: if a model is missing or refused.
        MachineError: if an engine or precision is not to be had there.
    """
    fed = None if ask.inputs is None else inputs_of(ask.inputs, scratch / "inputs.npy")
    for number, (given, name) in enumerate(zip(models, names or names_of(models), strict=True)):
        folder = scratch / str(number)
        folder.mkdir()
        if made_engines.is_one(given):
            made = made_engines.taken(given, ask.runtimes, ask.store)
            version = made_engines.admitted(made, ask.precisions, ask.timeout_s, ask.device)
            for precision in made.precisions or ask.precisions:
                engine = Engine(made.runtime, precision, 1, made.files)
                yield from _on_threads(engine, name, fed, ask, made.main, version, made.sha256)
            continue
        model, own = found(given, folder / "inputs.npy")
        whole = external_data.embedded(model, folder / ONNX)
        sha256 = files.digest_file(whole)
        for runtime in usable(ask.runtimes, missing):
            for precision in ask.precisions:
                goal = folder / f"{runtime}-{precision}"
                goal.mkdir()
                told = _built(whole, runtime, precision, goal, ask)
                paths = {key: goal / file for key, file in told["files"].items()}
                engine = Engine(runtime, precision, 1, paths)
                version = str(told["version"])
                yield from _on_threads(engine, name, fed or own, ask, model, version, sha256)


def _built(model: Path, runtime: str, precision: str, goal: Path, ask: Ask) -> Mapping[str, Any]:
    told = build(model, runtime, precision, goal, timeout_s=ask.timeout_s, device=ask.device)
    if "not_measured" in told:
        reason = told["not_measured"]
        made = "files" in told
        raise MachineError(
            f"{runtime}: not measured: {reason}"
            if made
            else f"precision: got {precision!r}: {reason}"
        )
    return told


def _on_threads(
    engine: Engine,
    name: str,
    inputs: Path | None,
    ask: Ask,
    model: Path,
    version: str,
    sha256: str,
) -> Iterator[Ready]:
    for threads in ask.threads:
        one = engine._replace(threads=threads)
        subject = Subject(f"{name} {one.label()}", one, inputs, ask.batch)
        yield Ready(subject, model, version, sha256)


def found(given: Path, goal: Path) -> tuple[Path, Path | None]:
    """The ONNX file of a model or bundle folder, and a bundle's golden inputs, written to `goal`.

    Raises:
        InputError: if a folder is no bundle.
    """
    if not given.is_dir():
        return given, None
    if not (given / BUNDLED).is_file() or not (given / BUNDLED_GOLDEN).is_file():
        raise InputError(f"{given}: got a folder, want one with {BUNDLED} and {BUNDLED_GOLDEN}")
    return given / BUNDLED, inputs_of(given, goal)


def inputs_of(given: Path, goal: Path) -> Path:
    """The .npy file of a user's inputs: as it is, or written to `goal` from golden samples.

    Raises:
        InputError: if it is neither .npy nor golden samples nor a bundle that has some.
    """
    if given.suffix == ".npy":
        return given
    golden_file = given / BUNDLED_GOLDEN if given.is_dir() else given
    if golden_file.suffix != ".safetensors":
        raise InputError(f"{given}: got no inputs, want .npy, .safetensors or a bundle")
    from edgekd.bench import golden

    return golden.write_inputs(golden.read(golden_file), goal)


def names_of(models: Sequence[Path]) -> list[str]:
    """A short name for each: its file's, or the whole path where two files are called the same."""
    short = [path.resolve().stem if path.suffix else path.resolve().name for path in models]
    return [
        name if short.count(name) == 1 else str(path)
        for name, path in zip(short, models, strict=True)
    ]
