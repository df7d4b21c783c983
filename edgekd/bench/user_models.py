"""The models a user names on the command line, compiled or taken as they are, ready to be measured."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.bench import numerics
from edgekd.bench import prebuilt_engines
from edgekd.bench import size_options
from edgekd.bench import user_calls
from edgekd.bench import user_inputs
from edgekd.bench.build import build_engine
from edgekd.bench.call import CONTEXT
from edgekd.bench.call import PROMPT
from edgekd.bench.engine import Engine
from edgekd.bench.machine import host
from edgekd.bench.named_model import NamedModel
from edgekd.bench.named_model import read_inputs
from edgekd.bench.named_model import read_named_model
from edgekd.bench.numerics import NumericsLabel
from edgekd.bench.session import Subject
from edgekd.bench.size_options import Sizes
from edgekd.bench.sized_calls import is_of_tokens
from edgekd.bench.user_calls import ModelCall
from edgekd.bench.user_inputs import UserInputs
from edgekd.device import Device
from edgekd.devices import local
from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.runtimes import RUNTIMES


class MeasureRequest(NamedTuple):
    """Runtimes, precisions, threads and sizes to measure each model with; every combination is one subject."""

    runtimes: tuple[str, ...]
    """Empty for all that are installed. An engine that is made already brings its own."""
    precisions: tuple[str, ...]
    """Empty for what each file computes in."""
    threads: tuple[int, ...]
    batch: int | None
    """None for 1, or what a model is fixed at."""
    timeout_s: float
    inputs: UserInputs = UserInputs()
    """What all are fed; what it leaves out is a bundle's own, or drawn from the seed."""
    sizes: tuple[Sizes, ...] = ({},)
    """Of free axes; each combination is a subject."""
    store: Path | None = None
    """Where ``store:KEY`` is looked up; None for the default store."""
    device: Device = local.DEVICE
    beside: tuple[Path, ...] = ()
    """ONNX files that are measured by another call, whose axes and inputs may be named too."""


class PreparedSubject(NamedTuple):
    """One subject, compiled, and what a result says about it."""

    subject: Subject
    model: Path
    """The file that names it: the ONNX file, the IR's graph, an engine's main file."""
    runtime_version: str
    sha256: str | None = None
    """Of what was given, weights that lie beside it put in, before it was used; None to take it from
    `model`."""
    note: str = ""
    """What a reader of its numbers has to know."""


def require_runtimes(
    asked: Sequence[str], missing: Mapping[str, str | None] | None = None
) -> tuple[str, ...]:
    """The requested runtimes, or all that are installed.

    Args:
        asked: names.
        missing: by runtime why it cannot be used, or None; of this machine if left out. For any
            engine, one that cannot run what it builds is missing too.

    Raises:
        MachineError: if a requested one, or every one, is not installed.
    """
    if missing is None:
        missing = host.why_no_engine(asked or RUNTIMES, run=not asked)
    for name in asked:
        if missing.get(name) is not None:
            raise MachineError(str(missing[name]))
    found = tuple(asked) or tuple(name for name, reason in missing.items() if reason is None)
    if not found:
        raise MachineError("no engine is installed", hint="pip install 'edgekd[onnxruntime]'")
    return found


def prepare_subjects(
    models: Sequence[Path],
    request: MeasureRequest,
    scratch: Path,
    *,
    names: Sequence[str] | None = None,
    missing: Mapping[str, str | None] | None = None,
) -> Iterator[PreparedSubject]:
    """Compile each model for each runtime and precision into `scratch`; engines stay as they are.

    Args:
        models: ONNX files, bundle folders, IR graphs, or ``store:KEY``.
        request: with what.
        scratch: an empty folder.
        names: what to call them; from their paths if left out.
        missing: as `require_runtimes` takes it.

    Raises:
        InputError: if a model is missing or refused.
        MachineError: if an engine or precision is not to be had there.
    """
    user = request.inputs
    file = user.file and user_inputs.find_inputs(user.file, scratch / "inputs.npy")
    listed = []
    for number, (given, name) in enumerate(zip(models, names or short_names(models), strict=True)):
        (scratch / str(number)).mkdir()
        listed.append(
            read_named_model(given, name, request.runtimes, request.store, scratch / str(number))
        )
    known = [one.interface.inputs for one in listed if one.interface is not None]
    known += [read_inputs(path) for path in request.beside]
    asked_sizes = {name: size for sizes in request.sizes for name, size in sizes.items()}
    of_decoders = (PROMPT, CONTEXT) if any(one.decoder is not None for one in listed) else ()
    size_options.require_known(asked_sizes, known, of_decoders)
    user_inputs.require_known(user, [[value.name for value in inputs] for inputs in known])
    calls = [
        [
            *user_calls.plan_calls(
                model.name,
                model.interface,
                sizes=[one for one in request.sizes if not is_of_tokens({"sizes": one})],
                batch=request.batch,
                user=user,
                rows=file,
                goal=scratch / str(number) / "inputs.npz",
                golden=model.rows,
                bundled=model.bundled,
            ),
            *user_calls.plan_token_calls(model.decoder, request.sizes),
        ]
        for number, model in enumerate(listed)
    ]
    for number, model in enumerate(listed):
        made = _engines(model, request, scratch / str(number), missing)
        for engine, version, sha256 in made.engines:
            yield from _subjects(
                model, engine, calls[number], request, version, sha256, made.refused
            )


class _Engines(NamedTuple):
    """What came of compiling one model."""

    engines: list[tuple[Engine, str, str]]
    """On one thread, each with the runtime's version and the digest of what was given."""
    refused: str = ""
    """Why others that nobody asked for by name do not run it."""


def _engines(
    model: NamedModel,
    request: MeasureRequest,
    folder: Path,
    missing: Mapping[str, str | None] | None,
) -> _Engines:
    """Its engines.

    Raises:
        InputError: if one that was asked for by name refuses the model, or all do; so MachineError.
    """
    known = None if model.interface is None else model.interface.numerics
    if model.made is not None:
        made = model.made
        labels = [] if made.precisions else _labels(model, request, known, made.runtime)
        asked = request.precisions or tuple(label.precision for label in labels)
        version = prebuilt_engines.admit_engine(made, asked, request.timeout_s, request.device)
        precisions = made.precisions or asked
        engines = [Engine(made.runtime, precision, 1, made.files) for precision in precisions]
        return _Engines([(engine, version, made.sha256) for engine in engines])
    found = _Engines([])
    failures: list[EdgekdError] = []
    for runtime in require_runtimes(request.runtimes, missing):
        fuses = runtime in RUNTIMES and RUNTIMES[runtime].fuses_decoders
        source = model.fused if fuses and model.fused is not None else model.whole
        sha256 = files.digest_file(source)
        for label in _labels(model, request, known, runtime):
            goal = folder / f"{runtime}-{label.precision}"
            goal.mkdir()
            try:
                told = _built(source, runtime, label.precision, goal, request)
            except (InputError, MachineError) as error:
                if request.runtimes or request.precisions:
                    raise
                failures.append(error)
                continue
            paths = {key: goal / file for key, file in told["files"].items()}
            engine = Engine(runtime, label.precision, 1, paths, label.tensors)
            found.engines.append((engine, str(told["version"]), sha256))
    if not found.engines:
        raise failures[0]
    return found._replace(refused="; ".join(map(str, failures)))


def _labels(
    model: NamedModel, request: MeasureRequest, known: str | None, runtime: str
) -> list[NumericsLabel]:
    if known is None:
        return [NumericsLabel(precision) for precision in request.precisions or (numerics.PLAIN,)]
    return numerics.make_labels(model.name, request.precisions, known, runtime)


def _built(
    model: Path, runtime: str, precision: str, goal: Path, request: MeasureRequest
) -> Mapping[str, Any]:
    told = build_engine(
        model, runtime, precision, goal, timeout_s=request.timeout_s, device=request.device
    )
    if "not_measured" in told:
        reason = told["not_measured"]
        made = "files" in told
        raise MachineError(
            f"{runtime}: not measured: {reason}"
            if made
            else f"precision: got {precision!r}: {reason}"
        )
    return told


def _subjects(
    model: NamedModel,
    engine: Engine,
    calls: Sequence[ModelCall],
    request: MeasureRequest,
    version: str,
    sha256: str,
    refused: str,
) -> Iterator[PreparedSubject]:
    """The engine in every call on every number of threads."""
    for call in calls:
        label = f" {call.plan.label}" if call.plan.label else ""
        note = "; ".join(filter(None, (call.plan.note, refused)))
        for threads in request.threads:
            one = engine._replace(threads=threads)
            name = f"{model.name}{label} {one.label()}"
            subject = Subject(name, one, call.inputs, call.plan.batch, call.plan)
            yield PreparedSubject(subject, model.main, version, sha256, note)


def short_names(models: Sequence[Path]) -> list[str]:
    """A short name for each: its file's, or the whole path where two files are called the same."""
    short = [path.resolve().stem if path.suffix else path.resolve().name for path in models]
    return [
        name if short.count(name) == 1 else str(path)
        for name, path in zip(short, models, strict=True)
    ]
