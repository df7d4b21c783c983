"""The two models of a comparison: run folders or bundles, each compiled anew for this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import bundle
from edgekd.bench.build import build_engine
from edgekd.bench.engine import Engine
from edgekd.bench.golden import USUAL
from edgekd.bench.machine import host
from edgekd.bench.outputs import write_inputs
from edgekd.bench.sized_scores import SizedEngines
from edgekd.bundle import Bundle
from edgekd.bundle import archive
from edgekd.bundle import models as bundle_models
from edgekd.bundle import signature
from edgekd.bundle.engine import choose_file
from edgekd.bundle.models import BundledModel
from edgekd.device import TIMEOUT_S
from edgekd.device import Device
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.gate import ComparedModel
from edgekd.gate import SizedPart
from edgekd.gating import weights
from edgekd.report import result
from edgekd.report.result import Result

BUNDLE = "bundle"


class OpenedSide(NamedTuple):
    """The content of a path on the command line."""

    given: str
    bundle: Bundle
    result: Result | None
    """Of a run folder."""


def is_run(path: Path) -> bool:
    """Return whether it is the folder of a run, which holds a bundle that nobody has signed yet."""
    return (path / result.FILE).is_file()


@contextmanager
def open_side(path: Path, *, key: Path | None = None) -> Iterator[OpenedSide]:
    """Open a run folder, a bundle folder or a bundle in one file; verify every digest.

    Args:
        path: where it lies.
        key: public key, PEM, that must have signed its bundle; None asks for none.

    Raises:
        InputError: if it is none of these, has changed, was not signed with `key`, or is a run that
            chose nothing.
        MachineError: if `key` cannot be used here.
    """
    found = result.read(path) if is_run(path) else None
    if found is not None and found.chosen is None:
        raise InputError(f"{path}: got a run that chose nothing, want one with a bundle")
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(
                archive.open_bundle(path if found is None else path / BUNDLE)
            )
            own = bundle.load_bundle(folder)
        except BudgetMissed as error:  # a changed file is no missed gate: nothing was compared
            raise InputError(f"{error}, want it as it was written") from error
        try:
            signature.require_signature(folder, own.manifest.digest, key)
        except BudgetMissed as error:
            raise InputError(str(error)) from error
        if found is not None:
            _want_same(path, own, found)
        yield OpenedSide(str(path), own, found)


def _want_same(path: Path, own: Bundle, found: Result) -> None:
    """Refuse a run folder whose bundle is of another run."""
    made = own.manifest.created_from
    for label, step in found.lineage.items():
        if label in made and made[label] != step.key:
            raise InputError(f"{path}: got a bundle of another run: its step {label!r} differs")


def compile_side(side: OpenedSide, device: Device, folder: Path) -> ComparedModel:
    """The model of `side` as the engine its manifest chose, compiled on `device` into `folder`.

    Raises:
        InputError: if its engine refuses the model.
        MachineError: if the device lacks the engine or the precision, or the engine crashes.
    """
    folder.mkdir()
    usual = bundle_models.usual_model(side.bundle)
    engine, built = _compile(side.given, usual, device, folder)
    models = bundle_models.models_by_size(side.bundle)
    each = [_compile(side.given, one, device, folder / f"{n}") for n, one in enumerate(models)]
    asked = list(zip(models, each, strict=True)) or [(usual, (engine, built))]
    bytes_of = {_identify(model): found["size_bytes"] for model, (_, found) in asked}
    table, engines = side.bundle.manifest.by_size, None
    if table is not None:
        bounds = tuple(bundle_models.list_bounds(side.bundle))
        engines = SizedEngines(table.axis, bounds, tuple(found for found, _ in each))
    parts = [
        SizedPart(own, model.golden, model.tolerance, _write_golden(model, folder / f"golden-{n}"))
        for n, (model, (own, _)) in enumerate(asked)
    ]
    return ComparedModel(
        given=side.given,
        bundle=side.bundle,
        engine=engine,
        inputs=write_inputs(side.bundle.golden[USUAL].inputs, folder / "golden-inputs.split"),
        size_bytes=sum(bytes_of.values()),
        kernels=built["kernels"],
        runtime_version=built["version"],
        complexity=_complexity(usual.path, side.result),
        sized=engines,
        parts=tuple(parts),
        near_chance=side.result is not None and side.result.student.near_chance,
    )


def _write_golden(model: BundledModel, folder: Path) -> dict[str, Path]:
    """Golden inputs by group, as files in `folder`."""
    folder.mkdir()
    return {
        name: write_inputs(group.inputs, folder / f"{name}.split")
        for name, group in model.golden.items()
    }


def _identify(model: BundledModel) -> tuple[str, str, str]:
    """What has files of its own; the number of threads has not."""
    return model.path.name, model.chosen.runtime, model.chosen.precision


def _compile(
    given: str, model: BundledModel, device: Device, folder: Path
) -> tuple[Engine, dict[str, Any]]:
    """The engine of one file of a bundle, and what its worker found."""
    folder.mkdir(exist_ok=True)
    chosen = model.chosen
    built = build_engine(
        choose_file(model, chosen.runtime, folder),
        chosen.runtime,
        chosen.precision,
        folder,
        timeout_s=TIMEOUT_S,
        kernels=True,
        device=device,
    )
    if "not_measured" in built:
        raise MachineError(
            f"{given}: got {chosen.runtime} {chosen.precision}: {built['not_measured']}"
        )
    paths = {name: folder / file for name, file in built["files"].items()}
    threads = min(chosen.threads, host.max_threads(device))
    return Engine(chosen.runtime, chosen.precision, threads, paths), built


def _complexity(model: Path, found: Result | None) -> dict[str, int]:
    known = {} if found is None else {"macs": found.student.macs}
    try:
        return {"parameters": weights.count_weights(model), **known}
    except ValueError as error:
        raise InputError(f"{model}: {error}") from error
