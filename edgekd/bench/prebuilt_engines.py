"""Engines that need no compiling: an OpenVINO IR, or the result of a compile step in our own store.

Any other engine file is refused. It holds code or offsets that its runtime obeys, and nothing in it
says who made it; the ONNX file it came from is compiled here in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.bench.engine import ONNX
from edgekd.bench.ir import GRAPH
from edgekd.bench.ir import WEIGHTS
from edgekd.bench.process import run_worker
from edgekd.bench.status import OK
from edgekd.bench.status import Word
from edgekd.bench.status import offered_text
from edgekd.bench.status import status_text
from edgekd.device import PLAIN_NAME
from edgekd.device import Device
from edgekd.device import input_path
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.store import Store
from edgekd.store import StoreEntry
from edgekd.units import number_text

STORE = "store:"
IR_SUFFIX = ".xml"
FOREIGN = {".engine", ".plan", ".trt", ".blob", ".ort", ".pte", ".tflite", ".dlc", ".mnn", ".rknn"}
ENGINE = "engine.json"
SHORTEST_KEY = 6


class EngineFacts(NamedTuple):
    """The fields of a compile step's engine.json that are read."""

    runtime: str
    runtime_version: str | None
    precision: str
    files: list[str]
    status: Word
    reason: str


class PrebuiltEngine(NamedTuple):
    """One engine, before a number of threads is chosen."""

    runtime: str
    precisions: tuple[str, ...]
    """The one it was compiled for; empty where it runs in any."""
    files: dict[str, Path]
    main: Path
    sha256: str
    version: str | None = None
    """Of the runtime that compiled it."""


def is_prebuilt(given: Path) -> bool:
    """Return whether the path names an engine, not a model."""
    return str(given).startswith(STORE) or given.suffix.lower() in {IR_SUFFIX, *FOREIGN}


def find_engine(given: Path, runtimes: Sequence[str], store: Path | None) -> PrebuiltEngine:
    """Find the engine that the path names.

    Args:
        given: a path, or ``store:KEY`` with the beginning of a key.
        runtimes: which are asked for; empty for any.
        store: where keys are looked up; None for the default store.

    Raises:
        InputError: if it is of somebody else's making, incomplete, or of another runtime.
    """
    if given.suffix.lower() in FOREIGN:
        raise InputError(
            f"{given}: got an engine that was built elsewhere, want ONNX, a bundle, OpenVINO IR or "
            "store:KEY: an engine is a program",
            hint=f"edgekd bench {given.stem}.onnx builds it here",
        )
    made = _stored(str(given), store) if str(given).startswith(STORE) else _ir(given)
    if runtimes and made.runtime not in runtimes:
        raise InputError(f"{given}: got an engine of {made.runtime}, want one of {runtimes[0]}")
    return made


def admit_engine(
    made: PrebuiltEngine, asked: Sequence[str], timeout_s: float, device: Device
) -> str:
    """The version of the runtime on `device`, if it takes the engine in the asked precisions.

    Args:
        made: the engine.
        asked: precisions; of an engine that was compiled for one, nothing else.
        timeout_s: for the worker that looks.
        device: where it is to run.

    Raises:
        InputError: if the files are not admitted, or another precision is asked of it than it was compiled for.
        MachineError: if the runtime or a precision is missing there, or it is of another version.
    """
    others = [name for name in asked if made.precisions and name not in made.precisions]
    if others:
        raise InputError(
            f"{made.main.name:.12}: got precision {others[0]!r}, want {made.precisions[0]!r}: for that it was compiled",
            hint="without --precision an engine is measured as it is",
        )
    spec = {"runtime": made.runtime, "files": {name: input_path(name) for name in made.files}}
    told = run_worker("offers", spec, timeout_s=timeout_s, reads=made.files, device=device)
    if "not_measured" in told:
        raise MachineError(str(told["not_measured"]))
    for precision in made.precisions or asked:
        if precision not in told["precisions"]:
            offered = offered_text(made.runtime, told["precisions"])
            raise MachineError(f"precision: got {precision!r}: {offered}")
    version = str(told["version"])
    if made.version not in (None, version):
        raise MachineError(
            f"{made.main.name:.12}: got an engine of {made.runtime} {made.version}, want {version}",
            hint="run its recipe again",
        )
    return version


def _ir(graph: Path) -> PrebuiltEngine:
    weights = graph.with_suffix(".bin")
    beside = {GRAPH: graph, WEIGHTS: weights}
    for path in beside.values():
        if not path.exists():
            raise InputError(f"{path}: is missing, want the graph and its weights side by side")
        if path.resolve().parent != graph.resolve().parent:
            raise InputError(f"{path}: got a link out of its folder, want the file itself")
    return PrebuiltEngine("openvino", (), beside, graph, _digest(beside))


def _stored(given: str, folder: Path | None) -> PrebuiltEngine:
    from edgekd import run

    key = given.removeprefix(STORE)
    store = Store(folder or run.default_store())
    entry = _entry(store, key)
    about = _about(store, entry)
    if about.status != OK:
        raise InputError(f"{given}: got no engine there: {status_text(about.status, about.reason)}")
    plain = all(map(PLAIN_NAME.fullmatch, about.files))
    if not about.files or not plain or not set(about.files) <= set(entry.files):
        raise InputError(f"{given}: got an engine whose files are not there")
    paths = {name: store.blob_path(entry.files[name].sha256) for name in about.files}
    main = paths.get(GRAPH) or paths.get(ONNX) or next(iter(paths.values()))
    return PrebuiltEngine(
        about.runtime, (about.precision,), paths, main, _digest(paths), about.runtime_version
    )


def _entry(store: Store, key: str) -> StoreEntry:
    """The verified result of the one compile step whose key begins so."""
    if len(key) < SHORTEST_KEY:
        raise InputError(f"{STORE}{key}: got {len(key)} characters, want {SHORTEST_KEY} or more")
    near = [entry for entry in store.entries() if entry.key.startswith(key.lower())]
    engines = [entry for entry in near if entry.inputs.get("stage") == "compile"]
    if len(engines) != 1:
        got = (
            number_text(len(engines), "engine")
            if engines or not near
            else "a result that is no engine"
        )
        raise InputError(f"{STORE}{key[:70]}: got {got}, want one", hint="edgekd store ls")
    entry = store.peek(engines[0].key)
    if entry is None:
        raise InputError(
            f"{STORE}{key[:70]}: got a result that does not verify", hint="run its recipe again"
        )
    return entry


def _about(store: Store, entry: StoreEntry) -> EngineFacts:
    """engine.json of a store that others may have filled."""
    where = f"{STORE}{entry.key[:12]}: {ENGINE}"
    if ENGINE not in entry.files:
        raise InputError(f"{where}: is missing", hint="run its recipe again")
    value = files.read_json(store.blob_path(entry.files[ENGINE].sha256))
    held: dict[str, Any] = value if isinstance(value, dict) else {}
    values: list[Any] = [held.get(name) for name in EngineFacts._fields]
    about = EngineFacts(*values)
    texts = (
        about.runtime,
        about.precision,
        about.status,
        about.reason,
        about.runtime_version or "",
    )
    named = isinstance(about.files, list) and all(isinstance(name, str) for name in about.files)
    if not named or not all(isinstance(one, str) for one in texts):
        raise InputError(
            f"{where}: got another form, want an engine's", hint="run its recipe again"
        )
    return about


def _digest(paths: dict[str, Path]) -> str:
    """SHA-256 of the only file, or of the digests of all by name."""
    digests = {name: files.digest_file(path) for name, path in paths.items()}
    if len(digests) == 1:
        return next(iter(digests.values()))
    return files.digest_bytes(files.canonical_json(digests))
