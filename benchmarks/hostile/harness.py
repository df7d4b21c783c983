"""What hostile inputs come to: how each ends, what of the machine it touched, how long it took.

A script gives cases; each is made from its number, so any can be made again. While one runs, Python's
own audit events are watched for files opened outside the case's folder, programs started and sockets
opened, and the kernel (inotify) for any touch of the canaries: files beside the folder that the cases
name. Workers are forked from this process and not started anew, so that thousands are tried in minutes;
all else runs as it is shipped.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import io
import json
import os
import select
import signal
import struct
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any
from typing import NamedTuple
from typing import NoReturn

from edgekd.bench import worker
from edgekd.cli import border
from edgekd.device import STDOUT_BYTES
from edgekd.device import WorkerExit
from edgekd.devices import child

sys.dont_write_bytecode = True  # what Python compiles is nothing that a case has written

SECRET = "the canary's secret"
LIMIT_S = 30.0
"""Longer than any case's own timeout: one that takes this long hangs."""
IN_OPEN, IN_MODIFY, IN_MOVE_SELF, IN_DELETE_SELF, IN_CREATE = 0x20, 0x2, 0x800, 0x400, 0x100
STARTED = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "os.startfile"}
SOCKETS = {"socket.connect", "socket.bind", "socket.getaddrinfo"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
QUIET = {"/dev/null", "/dev/urandom"}

Attempt = Callable[[int, Path, "Canaries"], object]
"""Makes the case of this number in the empty folder and does with it what a user would."""


class Outcome(NamedTuple):
    """How one case ended."""

    number: int
    code: int
    """The command's exit code."""
    line: str
    """What stderr says."""
    seconds: float
    touched: list[str]
    """What it had no business with."""
    hung: bool


class Canaries:
    """Files beside the folder of a case that nothing may read, change or join."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = folder / "secret.txt"
        self.weights = folder / "weights.bin"
        self.marker = folder / "ran"
        """What code hidden in a case would make."""
        self.secret.write_text(SECRET)
        self.weights.write_bytes(b"\0" * 4096)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watch = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        mask = IN_OPEN | IN_MODIFY | IN_MOVE_SELF | IN_DELETE_SELF
        for path, kinds in ((self.secret, mask), (self.weights, mask), (folder, IN_CREATE)):
            self._libc.inotify_add_watch(self._watch, bytes(path), kinds)

    def touched(self) -> list[str]:
        """What happened to them since the last look."""
        found = []
        while select.select([self._watch], [], [], 0)[0]:
            data = os.read(self._watch, 2**16)
            while data:
                _, mask, _, size = struct.unpack_from("iIII", data)
                found.append(f"canary {mask:#x} {data[16 : 16 + size].rstrip(bytes(1)).decode()}")
                data = data[16 + size :]
        return found


class _Audit:
    """Python's audit events while a case runs; a hook stays for ever, so there is one."""

    def __init__(self) -> None:
        self.inside: str | None = None
        self.found: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.inside is None:
            return
        if event in STARTED | SOCKETS:
            self.found.append(f"{event} {arguments!r:.120}")
        elif event == "open" and isinstance(arguments[0], str | bytes):
            path = os.path.normpath(Path.cwd() / os.fsdecode(arguments[0]))
            flags = arguments[2] or 0
            if flags & WRITING and path not in QUIET and not path.startswith(self.inside):
                self.found.append(f"writes {path}")


_AUDIT = _Audit()


class _Hung(BaseException):
    """No time is left; no `Exception`, so that nobody on the way takes it for its own."""


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise _Hung


def attempt_one(attempt: Attempt, number: int, root: Path, canaries: Canaries) -> Outcome:
    """One case in a fresh folder."""
    with tempfile.TemporaryDirectory(prefix=f"{number}-", dir=root) as made:
        folder = Path(made)
        canaries.touched()
        _AUDIT.found.clear()
        _AUDIT.inside = str(root)
        before = signal.signal(signal.SIGALRM, _stop)
        signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
        begin, hung = time.monotonic(), False
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                ending, error = border.run_guarded(lambda: attempt(number, folder, canaries))
        except _Hung:
            ending, error, hung = border.CommandExit(4, "hung"), None, True
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            _AUDIT.inside = None
        hung = hung or isinstance(error, _Hung)
        touched = [*_AUDIT.found, *canaries.touched()]
        if canaries.marker.exists():
            touched.append("code ran")
            canaries.marker.unlink()
        if SECRET in said.getvalue() or SECRET in ending.error:
            touched.append("told the secret")
        if "\n" in ending.error or not ending.error.isprintable():
            touched.append(f"more than one plain line: {ending.error!r:.80}")
        return Outcome(number, ending.code, ending.error, time.monotonic() - begin, touched, hung)


def survey(attempt: Attempt, numbers: Sequence[int]) -> dict[str, Any]:
    """All cases: counts, and each that broke a rule with its number."""
    with tempfile.TemporaryDirectory(prefix="edgekd-hostile-") as made, _all_below(Path(made)):
        cases, outside = Path(made) / "cases", Path(made) / "outside"
        outside.mkdir()
        canaries = Canaries(outside)
        found = [attempt_one(attempt, number, cases, canaries) for number in numbers]
    bad = [one for one in found if one.touched or one.hung or one.code == 4]
    return {
        "cases": len(found),
        "exit_codes": {str(k): v for k, v in sorted(Counter(o.code for o in found).items())},
        "touched_outside": sum(bool(one.touched) for one in found),
        "code_run": sum("code ran" in one.touched for one in found),
        "exit_4": sum(one.code == 4 for one in found),
        "hung": sum(one.hung for one in found),
        "longest_s": round(max(one.seconds for one in found), 1),
        "broke_a_rule": [one._asdict() for one in bad[:20]],
    }


@contextlib.contextmanager
def _all_below(base: Path) -> Iterator[None]:
    """Temporary files, the store and logs lie where the cases do, so that nothing else may be written."""
    before, environment = tempfile.tempdir, dict(os.environ)
    for name in ("home", "state", "tmp"):
        (base / "cases" / name).mkdir(parents=True)
    tempfile.tempdir = str(base / "cases" / "tmp")
    os.environ |= {
        "EDGEKD_HOME": str(base / "cases" / "home"),
        "XDG_STATE_HOME": str(base / "cases" / "state"),
        "TMPDIR": tempfile.tempdir,
    }
    try:
        yield
    finally:
        tempfile.tempdir = before
        os.environ.clear()
        os.environ.update(environment)


@contextlib.contextmanager
def forked_workers(*modules: str) -> Iterator[None]:
    """Workers as forks of this process, which has imported `modules` (engines) once."""
    for name in modules:
        __import__(name)
    before = child.run
    child.run = _forked
    try:
        yield
    finally:
        child.run = before


def _forked(
    argv: Sequence[str],
    spec: Mapping[str, Any],
    *,
    environment: Mapping[str, str],
    folder: Path,
    timeout_s: float,
    turn: object = None,
) -> WorkerExit:
    """As `edgekd.devices.child.run`; it waits for no turn, since nothing is timed here."""
    told = {**spec, "waits": False, "parent_pid": os.getpid(), "spawned_ns": time.perf_counter_ns()}
    new = tempfile.TemporaryFile
    with new() as stdin, new() as out, new() as err:
        stdin.write(json.dumps(told).encode() + b"\n")
        stdin.seek(0)
        with warnings.catch_warnings():  # Python 3.12 warns of threads, which the engines start
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            _AUDIT.inside = None
            _become_worker(folder, stdin.fileno(), out.fileno(), err.fileno())
        code, timed_out = _await(pid, timeout_s)
        out.seek(0)
        err.seek(0)
        stdout, stderr = out.read(STDOUT_BYTES), err.read(2**16)
    return WorkerExit(code, stdout, stderr, timed_out, False)


def _become_worker(folder: Path, *descriptors: int) -> NoReturn:
    code = 1
    try:
        os.setpgid(0, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.chdir(folder)
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        sys.stdin = os.fdopen(0)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        worker.STARTED_NS = time.perf_counter_ns()
        code = worker.main()
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="replace"))
    finally:
        os._exit(code)


def _await(pid: int, timeout_s: float) -> tuple[int, bool]:
    deadline = time.monotonic() + timeout_s
    try:
        while time.monotonic() < deadline:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status), False
            time.sleep(0.002)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), True


def main(attempts: Mapping[str, Attempt], text: str | None, path: Path, *modules: str) -> None:
    """The command line of a script: ``--count N``, ``--first N``; the result beside the script."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="Number of the first case.")
    parser.add_argument("--only", choices=[*attempts], help="One kind; the others stay as stored.")
    parser.add_argument("--output", type=Path, default=path.with_suffix(".json"))
    given = parser.parse_args()
    numbers = range(given.first, given.first + given.count)
    kept = (
        json.loads(given.output.read_bytes())["kinds"]
        if given.only and given.output.exists()
        else {}
    )
    with forked_workers(*modules):
        kinds = kept | {
            name: survey(attempt, numbers)
            for name, attempt in attempts.items()
            if given.only in (None, name)
        }
    command = f"python benchmarks/hostile/{path.name} --count {given.count} --first {given.first}"
    result = {"command": command, "kinds": kinds}
    given.output.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
