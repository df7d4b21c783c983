"""What a stage is: a pure function of files, stored by content."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import Literal
from typing import NamedTuple

from edgekd import files
from edgekd import sources
from edgekd.device import Device
from edgekd.devices import local
from edgekd.progress import Progress
from edgekd.settings import Settings
from edgekd.store import StoreEntry

Given = Mapping[str, Path]
"""A stage's input files by name; they lie in the store and must not be changed."""
Made = dict[str, Path]
"""A stage's output files by name."""


def take_own(given: Given, owner: str) -> Given:
    """The inputs, those under ``owner/`` in place of others of their names: a model may read texts by its own tokenizer."""
    prefix = f"{owner}/"
    own = {name: path for name, path in given.items() if name.startswith(prefix)}
    return {**given, **{name.removeprefix(prefix): path for name, path in own.items()}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The folders and services that a running stage may use beside its inputs."""

    folder: Path
    """Scratch for its outputs, empty at the start, gone after the commit."""
    checkpoints: Path
    """Its own folder for resuming; survives a kill, gone after the commit."""
    seed: int
    progress: Progress
    allow_code: bool = False
    """Whether ``python:`` references may run."""
    allow_download: bool = False
    """Whether the network may be used."""
    data_dir: Path | None = None
    """The user's folder of data sets."""
    device: Device = local.DEVICE
    """Where engines are built, run and measured."""
    remains: Mapping[str, Path] = field(default_factory=dict)
    """Files of a result that was made before and lost others, which are what they were; they lie in the store."""


class Stage(NamedTuple):
    """One kind of work. `run` reads `given`, writes in ``context.folder``, names what it made."""

    name: str
    settings: type[Settings]
    run: Callable[[Any, Given, Context], Made]
    packages: tuple[str, ...] = ()
    """Distributions whose version changes the bytes."""
    bound: Literal["", "host", "device"] = ""
    """Whose fingerprint is in the key: of this machine, or of the device that measures."""


EVERY = "*"
BLUEPRINT = "blueprint.json"
"""The file that describes a model; who takes it builds that model, and runs what its origin names."""


class Step(NamedTuple):
    """One stage in a plan, with its settings and where its inputs come from."""

    label: str
    """Unique in the plan: ``teacher``, ``export-student``, ``compile-openvino-bf16``."""
    stage: Stage
    settings: Settings
    takes: dict[str, tuple[str, str]]
    """Input name to (label of an earlier step, its file); the file `EVERY` stands for all of that
    step's files, named ``<input name>/<file>``."""
    seed: int = 0
    external: dict[str, Path] = {}
    """Input name to a user's own file; hashed before and after."""
    origin: Callable[[], dict[str, str]] | None = None
    """Digests of what it reads or runs besides; asked before and after it runs."""


class Bindings(NamedTuple):
    """The machines a plan is carried out on, as they count in keys."""

    host: str
    """Fingerprint key of the one that learns."""
    device: str
    """Of the one that measures."""
    device_versions: Mapping[str, str | None] = {}
    """Its packages by distribution; what is not named here is this machine's."""


def origin_of(step: Step, makers: Mapping[str, Step]) -> dict[str, str]:
    """Digests of what stands behind `step` beside its inputs: its own origin, and by label that of
    each step whose model it builds.

    Args:
        step: the step.
        makers: the steps before it, by label.
    """
    found = step.origin() if step.origin is not None else {}
    built = {label for label, file in step.takes.values() if file in (BLUEPRINT, EVERY)}
    for label in sorted(built):
        if behind := origin_of(makers[label], makers):
            found = {**found, label: files.digest_bytes(files.canonical_json(behind))}
    return found


def key_inputs(
    step: Step, given: Mapping[str, str], bindings: Bindings, origin: Mapping[str, str]
) -> dict[str, Any]:
    """Return what is hashed into the key of `step` (`edgekd.store.compute_key`).

    Args:
        step: the step.
        given: input name to SHA-256.
        bindings: fingerprints; they count only in stages bound to a machine.
        origin: what `origin_of` gives.
    """
    bound = step.stage.bound
    theirs = bindings.device_versions if bound == "device" else {}
    return {
        "stage": step.stage.name,
        "edgekd": sources.digest_sources(step.stage.run.__module__),
        "settings": step.settings.model_dump(mode="json"),
        "given": dict(sorted(given.items())),
        "seed": step.seed,
        "origin": dict(origin),
        "packages": {
            name: theirs[name] if name in theirs else package_version(name)
            for name in step.stage.packages
        },
        "host": getattr(bindings, bound) if bound else None,
    }


@functools.cache
def package_version(name: str) -> str | None:
    """The installed version of a distribution, read from its metadata; None if it is absent."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def wire_inputs(step: Step, entries: Mapping[str, StoreEntry]) -> dict[str, tuple[str, str]]:
    """The step's inputs from earlier steps, `EVERY` spelled out.

    Raises:
        KeyError: if an earlier step has no result yet.
    """
    spelled: dict[str, tuple[str, str]] = {}
    for name, (label, file) in step.takes.items():
        if file == EVERY:
            spelled |= {f"{name}/{each}": (label, each) for each in entries[label].files}
        else:
            spelled[name] = (label, file)
    return spelled


def input_digests(step: Step, entries: Mapping[str, StoreEntry]) -> dict[str, str]:
    """The digest of each of the step's inputs.

    Raises:
        KeyError: if an earlier step has no result yet.
        InputError: if a user's file is missing.
    """
    digests = {
        name: entries[label].files[file].sha256
        for name, (label, file) in wire_inputs(step, entries).items()
    }
    for name, path in step.external.items():
        digests[name] = files.digest_file(path)
    return digests
