"""The border: what a verb raises becomes one line on stderr and an exit code."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple
from typing import NoReturn

import click

if TYPE_CHECKING:
    from edgekd.errors import EdgekdError

AGAIN_S = 0.05
"""How long after a lost interruption it is sent once more."""
BROKEN_PIPE = 141
"""128 and SIGPIPE, which not every system has."""
VERDICTS = (1, 5)
"""Exit codes of a run that has printed its result and does not pass."""
REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENAMETOOLONG)
"""What a disk answers, whoever asked it."""


class CommandExit(NamedTuple):
    """Exit code of a command and its text on stderr."""

    code: int
    error: str = ""
    hint: str = ""


def run_guarded(work: Callable[[], object]) -> tuple[CommandExit, BaseException | None]:
    """Run `work`; return how it ended, and what it raised."""
    before, hook = signal.signal(signal.SIGTERM, _terminated), sys.unraisablehook
    repeated: list[threading.Timer] = []
    sys.unraisablehook = _repeating(hook, repeated)
    try:
        work()
        sys.stdout.flush()
    except SystemExit as error:
        return CommandExit(error.code if isinstance(error.code, int) else 1), None
    except BaseException as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a launcher's must not hide who failed
        return _ending(error), error
    finally:
        signal.signal(signal.SIGTERM, before)
        sys.unraisablehook = hook
        for timer in repeated:  # what was to be interrupted has ended
            timer.cancel()
    return CommandExit(0), None


def exit_on_interruption() -> None:
    """From now on ``^C`` and SIGTERM end this process at once: it has ended its work and only tidies up.

    Python waits for threads and calls what libraries registered, and would print where it was in that.
    """

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # a shell's background job hears no ^C
            signal.signal(number, leave)


@contextlib.contextmanager
def silence_other_ranks() -> Iterator[None]:
    """Inside, what ranks beside the first of a launcher print on stdout goes nowhere: the first says the same."""
    if not _is_other_rank():
        yield
        return
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _is_other_rank() -> bool:
    """Whether a launcher started this process beside a first one; says so of broken variables, too."""
    alone = os.environ.get("WORLD_SIZE", "1") == "1"
    return not alone and os.environ.get("RANK", "0") != "0"


def print_ending(ending: CommandExit, *, as_json: bool) -> None:
    """Print `ending` unless all is well: one line on stderr, with ``--json`` one of JSON.

    The JSON goes to stdout, but for a verdict: then stdout has the result already.
    """
    if not ending.error:
        return
    line = f"{ending.error} ({ending.hint})" if ending.hint else ending.error
    if _is_other_rank():
        line = f"rank {os.environ['RANK']}: {line}"
    told = json.dumps({"code": ending.code, "error": ending.error, "hint": ending.hint})
    with contextlib.suppress(BrokenPipeError):  # nobody reads it; the exit code stays
        if as_json:
            click.echo(told, err=ending.code in VERDICTS)
        if not as_json or ending.code not in VERDICTS:
            click.echo(f"error: {line}", err=True)


class OutputClosed(Exception):
    """What reads our output has gone; no `OSError`, of which click makes exit code 1, that of a missed budget."""


class ProcessTerminated(KeyboardInterrupt):
    """SIGTERM; as ^C it is no `Exception`, so nothing on the way takes it for its own failure."""

    signal_number = signal.SIGTERM


def interruption_error(error: BaseException) -> EdgekdError:
    """``^C`` or SIGTERM as one of our errors."""
    from edgekd.errors import RunInterrupted

    if isinstance(error, ProcessTerminated):
        return RunInterrupted("stopped by SIGTERM", signal_number=signal.SIGTERM)
    return RunInterrupted("interrupted")


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise ProcessTerminated


def _repeating(
    hook: Callable[[Any], object], repeated: list[threading.Timer]
) -> Callable[[Any], object]:
    """`hook` for all but an interruption: one that fell where Python cannot raise comes again, by a timer in `repeated`.

    Python drops what a callback of a weak reference or a destructor raises, and torch's exporter spends
    a tenth of its time in them.
    """

    def repeat(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            hook(unraisable)
            return
        ended_by = issubclass(unraisable.exc_type, ProcessTerminated)
        number = signal.SIGTERM if ended_by else signal.SIGINT
        again = threading.Timer(AGAIN_S, os.kill, (os.getpid(), number))
        again.daemon = True
        repeated.append(again)
        again.start()

    return repeat


def _ending(error: BaseException) -> CommandExit:
    from edgekd.errors import EdgekdError
    from edgekd.launch.failure import ReportedElsewhere

    if isinstance(error, ReportedElsewhere):
        return CommandExit(error.exit_code)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        error = interruption_error(error)
    if isinstance(error, EdgekdError):
        plain = EdgekdError(str(error)).line()
        return CommandExit(error.exit_code, plain, EdgekdError(error.hint).line())
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message())
        return CommandExit(2)
    if isinstance(error, click.ClickException):
        return CommandExit(2, EdgekdError(error.format_message()).line(), _usage_hint(error))
    if isinstance(error, BrokenPipeError | OutputClosed):
        # What reads our output has gone; without this, closing stdout complains once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CommandExit(BROKEN_PIPE)
    if isinstance(error, OSError) and error.errno in REFUSALS:
        what = EdgekdError(str(error)).line()
        if error.errno == errno.ENAMETOOLONG:
            return CommandExit(2, f"got a name that no file has: {what[:200]}")
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return CommandExit(3, f"the disk is full: {what}" if full else f"the disk refuses: {what}")
    return _unexpected(error)


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"see {context.command_path} --help" if context is not None else ""


def _unexpected(error: BaseException) -> CommandExit:
    """A fault of the user's own code, else our bug: the details go to a log file, which can be sent to us as it is."""
    from edgekd.errors import EdgekdError

    what = EdgekdError(f"{type(error).__name__}: {error}").line()[:120]
    place = _place_in_own_code(error)
    code, message = (2, f"{place}: your code raised {what}") if place else (4, f"unexpected {what}")
    try:
        log = _write_log(error)
    except Exception:  # a full disk must not hide the error itself
        return CommandExit(code, message, "run again with --debug for the details")
    return CommandExit(code, message, f"details in {log}")


def _place_in_own_code(error: BaseException) -> str:
    """File and line of the innermost frame that is code of the user's own; empty if none is."""
    from edgekd import code

    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if code.was_loaded(frame.filename)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""


def _write_log(error: BaseException) -> Path:
    import platform
    import time
    from importlib import metadata

    from edgekd import __version__
    from edgekd import files
    from edgekd import run

    lines = [f"edgekd {__version__}", f"python {platform.python_version()}", platform.platform()]
    for name in ("click", "numpy", "pydantic", "torch", "onnx", "onnxruntime", "openvino"):
        try:
            lines.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{name} absent")
    lines += ["command: " + " ".join(sys.argv), "", *traceback.format_exception(error)]
    path = run.log_folder() / f"error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    files.write_bytes(path, "\n".join(lines).encode(errors="replace"))
    return path
