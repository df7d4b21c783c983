"""This machine: a worker is a fresh process in a group of its own."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time

from edgekd.device import Device
from edgekd.device import Ended
from edgekd.device import Order
from edgekd.errors import MachineError

STDOUT_BYTES = 64 * 2**20
"""More than this and the worker is killed: a result of 100,000 iterations is 1 MB."""
STDERR_BYTES = 64 * 2**10
"""The end of stderr that is kept."""


def run(order: Order) -> Ended:
    """Start the worker, feed it, collect what it writes, and leave nothing of its group alive.

    Raises:
        MachineError: if no process can be started.
    """
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", order.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=order.environment,
            start_new_session=True,
        )
    except OSError as error:
        raise MachineError(f"worker: cannot be started: {error.strerror}") from error
    deadline = time.monotonic() + order.timeout_s
    with process:
        try:
            _feed(process, order.stdin)
            stdout, stderr, why = _collect(process, deadline)
        finally:
            _kill_group(process.pid)
    return Ended(process.returncode, stdout, stderr, why == "timeout", why == "overflow")


def _feed(process: subprocess.Popen[bytes], data: bytes) -> None:
    """Hand over the specification; small enough for the pipe, so this never waits."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(data)
        process.stdin.close()


def _collect(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bytes, str]:
    """What the worker writes until it ends, and why it was cut short, if it was."""
    assert process.stdout is not None and process.stderr is not None
    stdout, stderr = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, stdout)
        selector.register(process.stderr, selectors.EVENT_READ, stderr)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if time.monotonic() >= deadline:
                return bytes(stdout), bytes(stderr), "timeout"
            for key, _ in ready:
                data = os.read(key.fd, 2**16)
                key.data.extend(data)
                if not data:
                    selector.unregister(key.fileobj)
            if len(stdout) > STDOUT_BYTES:
                return bytes(stdout[:STDOUT_BYTES]), bytes(stderr), "overflow"
            del stderr[:-STDERR_BYTES]
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return bytes(stdout), bytes(stderr), "timeout"
    return bytes(stdout), bytes(stderr), ""


def _kill_group(group: int) -> None:
    """End every process of the worker's session that is left; the leader may be gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


DEVICE = Device("local", run)
