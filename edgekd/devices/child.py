"""One child process fed, watched and collected to its end, with nothing of its group left alive."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd.device import READY
from edgekd.device import STDERR_BYTES
from edgekd.device import STDOUT_BYTES
from edgekd.device import Turn
from edgekd.device import WorkerExit
from edgekd.errors import MachineError

READY_LINE = json.dumps({"phase": READY}).encode() + b"\n"


def run(
    argv: Sequence[str],
    spec: Mapping[str, Any],
    *,
    environment: Mapping[str, str],
    folder: Path,
    timeout_s: float,
    turn: Turn | None = None,
) -> WorkerExit:
    """Start `argv` in `folder` and in a group of its own; give it `spec` as one line of JSON on stdin.

    ``parent_pid`` and ``spawned_ns`` (this machine's `perf_counter_ns`) are added to the spec, and ``waits``: whether
    it has to say that it is ready and go on when another line comes. For its turn it waits as long as that takes.

    Raises:
        MachineError: if it cannot be started.
    """
    full_spec = {**spec, "parent_pid": os.getpid(), "spawned_ns": time.perf_counter_ns()}
    if turn is not None:
        full_spec["waits"] = True
    process = _start(argv, environment, folder)
    deadline = time.monotonic() + timeout_s
    with contextlib.ExitStack() as turns, process:
        try:
            _feed(process, full_spec, end=turn is None)
            take = None if turn is None else functools.partial(_take_turn, process, turn, turns)
            stdout, stderr, why = _collect(process, deadline, take)
        finally:
            kill_group(process.pid)
    return WorkerExit(process.returncode, stdout, stderr, why == "timeout", why == "overflow")


def kill_group(group: int) -> None:
    """End every process of a group that is left; its leader may be gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _start(
    argv: Sequence[str], environment: Mapping[str, str], folder: Path
) -> subprocess.Popen[bytes]:
    if not hasattr(os, "killpg"):
        raise MachineError(
            "worker: cannot be started: this system has no process groups",
            hint="on Windows use WSL2",
        )
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        raise MachineError(f"worker: cannot be started: {error.strerror}") from error


def _feed(process: subprocess.Popen[bytes], spec: Mapping[str, Any], *, end: bool) -> None:
    """Hand over the specification; small enough for the pipe, so this never waits."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(spec).encode() + b"\n")
        process.stdin.flush()
        if end:
            process.stdin.close()


def _take_turn(process: subprocess.Popen[bytes], turn: Turn, turns: contextlib.ExitStack) -> float:
    """Let the child go on when it is its turn, which ends with `turns`; gives the seconds that it waited."""
    assert process.stdin is not None
    began = time.monotonic()
    turns.enter_context(turn())
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(b"\n")
        process.stdin.close()
    return time.monotonic() - began


def _collect(
    process: subprocess.Popen[bytes], deadline: float, take_turn: Callable[[], float] | None
) -> tuple[bytes, bytes, str]:
    """Return what the child writes until it ends, and why it was cut short, if it was.

    A process that it left behind may hold its pipes open: once the child is gone, what lies in them
    is read and no more is waited for.
    """
    assert process.stdout is not None and process.stderr is not None
    stdout, stderr = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector, _end_of(process.pid) as end:
        selector.register(process.stdout, selectors.EVENT_READ, stdout)
        selector.register(process.stderr, selectors.EVENT_READ, stderr)
        if end is not None:
            selector.register(end, selectors.EVENT_READ)
        gone = False
        while len(selector.get_map()) > (end is not None and not gone):
            ready = selector.select(0 if gone else max(0.0, deadline - time.monotonic()))
            if time.monotonic() >= deadline:
                return bytes(stdout), bytes(stderr), "timeout"
            if gone and not ready:
                break
            for key, _ in ready:
                if key.data is None:
                    gone = True
                    selector.unregister(key.fileobj)
                    continue
                data = os.read(key.fd, 2**16)
                key.data.extend(data)
                if not data:
                    selector.unregister(key.fileobj)
            if take_turn is not None and READY_LINE in stdout:
                deadline += take_turn()
                take_turn = None
            if len(stdout) > STDOUT_BYTES:
                return bytes(stdout[:STDOUT_BYTES]), bytes(stderr), "overflow"
            del stderr[:-STDERR_BYTES]
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return bytes(stdout), bytes(stderr), "timeout"
    return bytes(stdout), bytes(stderr), ""


@contextlib.contextmanager
def _end_of(pid: int) -> Iterator[int | None]:
    """A descriptor that is ready once the process has ended; None where the system has none."""
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)
