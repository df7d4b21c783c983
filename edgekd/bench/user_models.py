"""The models a user names on the command line, compiled and ready to be measured."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgekd.bench.engine import Engine
from edgekd.bench.process import run_worker
from edgekd.bench.session import Subject
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.runtimes import RUNTIMES

BUNDLED, BUNDLED_GOLDEN = "model.onnx", "golden.safetensors"


class Ask(NamedTuple):
    """What to measure each model with; every combination is one subject."""

    runtimes: tuple[str, ...]
    """Empty for all that are installed."""
    precisions: tuple[str, ...]
    threads: tuple[int, ...]
    batch: int
    timeout_s: float


class Ready(NamedTuple):
    """One subject and what a result says about it."""

    subject: Subject
    model: Path
    runtime_version: str


def usable(asked: Sequence[str]) -> tuple[str, ...]:
    """The asked runtimes, or all that are installed.

    Raises:
        MachineError: if one that is asked for, or every one, is not installed.
    """
    missing = {name: RUNTIMES[name].load().why_not() for name in asked or RUNTIMES}
    for name, reason in missing.items():
        if reason is not None and name in asked:
            raise MachineError(reason)
    found = tuple(name for name, reason in missing.items() if reason is None)
    if not found:
        raise MachineError("no engine is installed", hint="pip install 'edgekd[onnxruntime]'")
    return found


def ready(models: Sequence[Path], ask: Ask, scratch: Path) -> Iterator[Ready]:
    """Compile each model for each runtime and precision into `scratch`.

    Raises:
        InputError: if a model is missing or refused.
        MachineError: if an engine or precision is not to be had here.
    """
    runtimes = usable(ask.runtimes)
    names = names_of(models)
    combinations = itertools.product(zip(models, names, strict=True), runtimes, ask.precisions)
    for number, ((given, name), runtime, precision) in enumerate(combinations):
        model, inputs = found(given, scratch / f"{number}.npy")
        folder = scratch / str(number)
        folder.mkdir()
        spec = {
            "runtime": runtime,
            "precision": precision,
            "model": str(model.resolve()),
            "folder": str(folder),
            "kernels": False,
        }
        built = run_worker("compile", spec, timeout_s=ask.timeout_s)
        if "not_measured" in built:
            raise MachineError(f"precision: got {precision!r}: {built['not_measured']}")
        paths = {key: folder / file for key, file in built["files"].items()}
        for threads in ask.threads:
            engine = Engine(runtime, precision, threads, paths)
            subject = Subject(f"{name} {engine.label()}", engine, inputs, ask.batch)
            yield Ready(subject, model, built["version"])


def found(given: Path, goal: Path) -> tuple[Path, Path | None]:
    """The ONNX file of a model or bundle folder, and a bundle's golden inputs, written to `goal`.

    Raises:
        InputError: if a folder is no bundle.
    """
    if not given.is_dir():
        return given, None
    if not (given / BUNDLED).is_file() or not (given / BUNDLED_GOLDEN).is_file():
        raise InputError(f"{given}: got a folder, want one with {BUNDLED} and {BUNDLED_GOLDEN}")
    from edgekd.bench import golden

    return given / BUNDLED, golden.write_inputs(golden.read(given / BUNDLED_GOLDEN), goal)


def names_of(models: Sequence[Path]) -> list[str]:
    """A short name for each: its file's, or the whole path where two files are called the same."""
    short = [path.resolve().stem if path.suffix else path.resolve().name for path in models]
    return [
        name if short.count(name) == 1 else str(path)
        for name, path in zip(short, models, strict=True)
    ]
