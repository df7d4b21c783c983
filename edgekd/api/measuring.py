"""Models measured from Python: what `edgekd bench` does, without its words."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.api.opening import open_each_size
from edgekd.api.opening import open_inputs
from edgekd.device import TIMEOUT_S

if TYPE_CHECKING:
    from edgekd.bench.machine.monitor import Monitor
    from edgekd.bench.result import MeasurementDocument
    from edgekd.bench.scenario.run import Name
    from edgekd.bench.scenario.run import ScenarioRun
    from edgekd.bench.scenario.run import ScenarioSelection
    from edgekd.bench.session import Measurement
    from edgekd.bench.session import Rules
    from edgekd.bench.session import Subject
    from edgekd.bench.session_record import SessionRecord
    from edgekd.bench.user_models import MeasureRequest
    from edgekd.bench.user_models import PreparedSubject
    from edgekd.runtime import Precision

PROCESSES_MIN = 6
"""Fewer give no interval."""


def bench(
    *models: str | os.PathLike[str],
    runtimes: Sequence[str] = (),
    precisions: Sequence[Precision] = (),
    threads: Sequence[int] = (1,),
    batch: int | None = None,
    sizes: Sequence[str] = (),
    inputs: Sequence[str] = (),
    seed: int = 0,
    processes: int = 30,
    budget_s: float = 60.0,
    device: str = "local",
    timeout_s: float = TIMEOUT_S,
) -> MeasurementDocument:
    """Measure how fast models are and how much memory they hold, as ``edgekd bench`` does: in fresh processes.

    Args:
        models: ONNX files, bundles, run folders or OpenVINO IR; all are measured in turns.
        runtimes: engines; all that are installed if left out.
        precisions: what the engines compute in; what each file is written in if left out.
        threads: of the engine; each number is a row.
        batch: samples a call; 1, or what a model is fixed at, if left out.
        sizes: of free axes, ``NAME=N[,N...]`` each.
        inputs: what is fed, ``[NAME=]FILE`` each; a bundle's own, or random ones if left out.
        seed: of random inputs.
        processes: most fresh processes a row.
        budget_s: no new process is started after so many seconds.
        device: where.
        timeout_s: after so many seconds an engine is given up.

    Returns:
        The published schema ``edgekd.bench/2``: a result a model, engine, precision and number of threads, each metric
        with its interval.

    Raises:
        InputError: if a model is missing or refused, or an option is unclear.
        MachineError: if an engine is not to be had there.
        Inconclusive: if the device is emulated.

    >>> import edgekd
    >>> for one in edgekd.bench("student.onnx", "teacher.onnx", runtimes=["onnxruntime"]).results:
    ...     print(one.subject.name, one.status, {each.name: each.value for each in one.metrics})
    """
    from edgekd import devices
    from edgekd.bench.result import document
    from edgekd.bench.scenario.run import ScenarioSelection
    from edgekd.bench.session import Rules
    from edgekd.bench.size_options import list_combinations
    from edgekd.bench.user_models import MeasureRequest

    rules = Rules(
        processes_min=min(PROCESSES_MIN, processes),
        processes_max=processes,
        budget_s=budget_s,
        timeout_s=timeout_s,
        seed=seed,
    )
    named = [Path(model) for model in models]
    with ExitStack() as stack:
        request = MeasureRequest(
            tuple(runtimes),
            tuple(precisions),
            tuple(threads),
            batch,
            timeout_s,
            open_inputs(tuple(inputs), stack),
            tuple(list_combinations(tuple(sizes))),
            None,
            devices.find_device(device),
        )
        opened = [each for model in named for each in open_each_size(model, stack)]
        named, folders = [name for name, _ in opened], [folder for _, folder in opened]
        record = measure_models(
            named, folders, request, rules, ScenarioSelection(), stack, lambda text: None
        )
        return document.make_document(record)


def find_missing_engines(request: MeasureRequest) -> dict[str, str | None]:
    """By engine that is asked for, or any, why it cannot be used on the request's device, or None.

    Raises:
        MachineError: if the device is not reached.
    """
    from edgekd.bench.machine.host import why_no_engine
    from edgekd.runtimes import RUNTIMES

    asked = request.runtimes
    return why_no_engine(asked or RUNTIMES, request.device, run=not asked)


def require_real_processor(emulated: str | None) -> None:
    """Require that the device's processor is not emulated.

    Raises:
        Inconclusive: if it is; its times mean nothing.
    """
    from edgekd.errors import Inconclusive

    if emulated:
        raise Inconclusive(f"latency: not measured: emulated ({emulated})")


def measure_models(
    models: Sequence[Path],
    folders: Sequence[Path],
    request: MeasureRequest,
    rules: Rules,
    wanted: ScenarioSelection,
    stack: ExitStack,
    note: Callable[[str], None],
) -> SessionRecord:
    """Compile and measure `models`, opened in `folders`; engines last until `stack` is left.

    Args:
        models: as they were named.
        folders: the same, bundles opened (`open_each_size`).
        request: with what.
        rules: when it is enough.
        wanted: what is measured beside latency.
        stack: holds what is compiled.
        note: is told what runs.

    Raises:
        InputError: if a model is refused, or an engine unknown.
        MachineError: if an engine or a precision is not to be had there.
        Inconclusive: if the device is emulated.
    """
    import functools
    import tempfile

    from edgekd import runtimes as table
    from edgekd.bench import session
    from edgekd.bench import session_record
    from edgekd.bench import user_models
    from edgekd.bench.machine.host import describe_host
    from edgekd.bench.machine.monitor import Monitor
    from edgekd.bench.process import run_worker

    for name in request.runtimes:
        table.find_entry(name)
    host, started_utc = describe_host(request.device), session_record.now_utc()
    require_real_processor(host.emulated)
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgekd-")))
    ready: list[PreparedSubject] = []
    missing = find_missing_engines(request)
    names = user_models.short_names(models)
    coming = user_models.prepare_subjects(folders, request, scratch, names=names, missing=missing)
    monitor = Monitor(functools.partial(run_worker, device=request.device))
    measured = session.measure_subjects(_collect(coming, ready), rules, note=note, worker=monitor)
    monitor.take_snapshot()
    ran = _scenarios(measured, wanted, rules, monitor, note)
    return session_record.SessionRecord(
        ready, measured, ran, wanted, rules, monitor, host, tuple(sys.argv[1:]), started_utc
    )


def _scenarios(
    measured: Sequence[Measurement],
    wanted: ScenarioSelection,
    rules: Rules,
    monitor: Monitor,
    note: Callable[[str], None],
) -> Sequence[Mapping[Name, ScenarioRun]]:
    if not wanted.names():
        return [{} for _ in measured]
    from edgekd.bench.scenario import run as scenarios
    from edgekd.errors import InputError

    subjects = [found.subject for found in measured]
    if any(subject.call is not None and subject.call.decoding for subject in subjects):
        raise InputError(
            "--size: got the length of a prompt or context beside a scenario, want one of both",
            hint="a scenario measures whole calls",
        )
    return scenarios.run_scenarios(subjects, wanted, rules, note=note, worker=monitor)


def _collect(coming: Iterator[PreparedSubject], ready: list[PreparedSubject]) -> Iterator[Subject]:
    """The subjects as they are compiled; `ready` keeps what is known of each."""
    for one in coming:
        ready.append(one)
        yield one.subject
