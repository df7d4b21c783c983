"""Runs one worker from order to result; a failure becomes one line."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd.bench import soundness
from edgekd.device import IN
from edgekd.device import Device
from edgekd.device import Turn
from edgekd.device import WorkerExit
from edgekd.device import WorkerJob
from edgekd.devices import local
from edgekd.errors import InputError
from edgekd.errors import MachineError

MODULE = "edgekd.bench.worker"
MESSAGE_CHARS, PHASE_CHARS = 2000, 80
"""What is taken of a worker's own words."""
PADDING_BYTES = 4096
"""A longer environment shifts the stack; a random length makes that luck, not bias (Mytkowicz 2009)."""


class WorkerFailed(MachineError):
    """A worker crashed, hung, or ended without a result."""


def run_worker(
    job: str,
    spec: Mapping[str, Any],
    *,
    timeout_s: float,
    reads: Mapping[str, Path] | None = None,
    goal: Path | None = None,
    device: Device = local.DEVICE,
    turn: Turn | None = None,
) -> dict[str, Any]:
    """Run `job` in a fresh worker and give its result.

    Args:
        job: a name of `edgekd.bench.worker.JOBS`.
        spec: what the job takes; JSON. Its paths lie below ``in/`` and ``out/``.
        timeout_s: after this the worker is killed.
        reads: files the worker finds as ``in/<name>``.
        goal: folder that takes what it leaves under ``out/``.
        device: where.
        turn: what a worker on this machine waits for between its start and what it times.

    Returns:
        The job's result, the top-level ``modules`` the worker had imported, and its ``affinity``.

    Raises:
        InputError: if the job refused what it was given.
        WorkerFailed: if it crashed, hung, lacked a package or ended without a result.
    """
    token = os.urandom(16).hex()
    told = {**spec, "job": job, "token": token}
    environment = worker_environment(int(spec.get("threads", 1)))
    ended = device.run(WorkerJob(MODULE, told, environment, timeout_s, reads or {}, goal, turn))
    name = str(spec.get("runtime", job))
    said = _last_line(ended.stdout, token)
    if ended.returncode != 0 or said is None:
        raise WorkerFailed(f"{name}: the worker {describe_exit(ended, timeout_s)}")
    if "fault" in said:
        kind = InputError if said["fault"] == "input" else WorkerFailed
        message = str(said.get("message"))[:MESSAGE_CHARS]
        raise kind(f"{name}: {_in_our_words(message, reads or {})}")
    try:
        soundness.require_sound(job, said.get("result"), _received(goal))
        soundness.require_process(said)
    except ValueError as error:
        raise WorkerFailed(f"{name}: the worker's answer: {error}") from error
    result: dict[str, Any] = said["result"]
    return {**result, "modules": said["modules"], "affinity": said["affinity"]}


def _received(goal: Path | None) -> set[str]:
    """Names of the regular files in the folder that takes what a worker leaves."""
    paths = [] if goal is None else goal.iterdir()
    return {path.name for path in paths if path.is_file() and not path.is_symlink()}


def _in_our_words(message: str, reads: Mapping[str, Path]) -> str:
    """A file's name in the working folder is none the user knows."""
    for name, path in reads.items():
        message = message.replace(f"{IN}/{name}", str(path))
    return message


def worker_environment(threads: int) -> dict[str, str]:
    """Return what a worker's environment gets: thread counts and random padding."""
    counts = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return {**counts, "EDGEKD_PADDING": "x" * random.randrange(PADDING_BYTES)}


def describe_exit(ended: WorkerExit, timeout_s: float) -> str:
    """``was killed by SIGSEGV during load``, with the last thing it said on stderr."""
    if ended.timed_out:
        how = f"did not end within {timeout_s:g} s and was killed"
    elif ended.overflowed:
        how = "wrote more than a result can be and was killed"
    elif ended.returncode < 0:
        how = f"was killed by {_signal_name(-ended.returncode)}"
    elif ended.returncode == 0:
        how = "ended without a result"
    else:
        how = f"ended with exit code {ended.returncode}"
    phase = _phase(ended.stdout)
    last = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
    return how + (f" during {phase}" if phase else "") + "".join(f": {line[:200]}" for line in last)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _lines(stdout: bytes) -> list[dict[str, Any]]:
    values = []
    for line in stdout.splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            values.append(value)
    return values


def _last_line(stdout: bytes, token: str) -> dict[str, Any] | None:
    """The result, if its token is ours: exit code 0 without it is a failure."""
    said = _lines(stdout)
    return said[-1] if said and said[-1].get("token") == token else None


def _phase(stdout: bytes) -> str:
    phases = (str(v["phase"])[:PHASE_CHARS] for v in reversed(_lines(stdout)) if "phase" in v)
    return next(phases, "")
