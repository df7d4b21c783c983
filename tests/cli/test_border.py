from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import click
import numpy as np
import pytest

from edgekd import cli
from edgekd import code
from edgekd import errors
from edgekd.bench.explanation import fidelity
from edgekd.cli import border


def ending(error: BaseException) -> border.CommandExit:
    def work() -> None:
        raise error

    return border.run_guarded(work)[0]


@pytest.fixture(autouse=True)
def own_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(code, "_loaded", {})  # other tests name functions of `tests` as a user's
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (errors.BudgetMissed("b"), 1, "b"),
        (errors.InputError("i\n\x1b[31m"), 2, "i \\x1b[31m"),
        (errors.MachineError("m"), 3, "m"),
        (errors.Inconclusive("c"), 5, "c"),
        (errors.RunInterrupted("t", signal_number=15), 143, "t"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
        (click.UsageError("u"), 2, "u"),
        (BrokenPipeError(), 141, ""),
        (SystemExit(7), 7, ""),
        (OSError(errno.ENOSPC, "No space left on device"), 3, "the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 3, "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system", "x"), 3, "the disk refuses: [Errno 30]"),
        (OSError(errno.EIO, "Input/output error"), 3, "the disk refuses"),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "a" * 999),
            2,
            "got a name that no file",
        ),
        (OSError(errno.EBADF, "Bad file descriptor"), 4, "unexpected OSError"),
        (ValueError("v\nw"), 4, "unexpected ValueError: v w"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_codes(error: BaseException, code: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "dup2", lambda *a: None)
    got = ending(error)
    assert got.code == code and got.error.startswith(text) and got.error.isprintable()


def test_all_is_well() -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert border.run_guarded(lambda: None) == ((0, "", ""), None)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_bug_leaves_its_details_in_a_file(own_log: Path) -> None:
    got = ending(KeyError("k"))
    (log,) = own_log.rglob("error-*.log")
    assert got.hint == f"details in {log}"
    text = log.read_text()
    assert "Traceback" in text and "KeyError: 'k'" in text and "pydantic" in text


def test_a_bug_is_told_even_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert ending(KeyError("k")).hint == "run again with --debug for the details"


def test_one_line_of_text_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    border.print_ending(border.CommandExit(2, "a", "b"), as_json=False)
    assert capsys.readouterr() == ("", "error: a (b)\n")
    border.print_ending(border.CommandExit(2, "a", "b"), as_json=True)
    said = capsys.readouterr()
    assert json.loads(said.out) == {"code": 2, "error": "a", "hint": "b"}
    border.print_ending(border.CommandExit(1, "a"), as_json=True)
    said = capsys.readouterr()
    assert said.out == "" and json.loads(said.err)["code"] == 1
    border.print_ending(border.CommandExit(0), as_json=True)
    assert capsys.readouterr() == ("", "")


SLEEPER = """
import sys, time
from edgekd import cli
import edgekd.cli.methods as verb
def sleep(*_):
    print("ready", flush=True)
    time.sleep(60)
verb.members.show_families = sleep
cli.run(["methods"])
"""


LEAVING = """
import atexit, os, signal, threading, time
from edgekd import cli

def interrupted():
    time.sleep(0.2)
    os.kill(os.getpid(), signal.{signal})
    time.sleep(20)

{when}
cli.run(["--version"])
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize(
    "when", ["atexit.register(interrupted)", "threading.Thread(target=interrupted).start()"]
)
def test_an_interruption_while_python_tidies_up_is_no_traceback(
    number: signal.Signals, code: int, when: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVING.format(signal=number.name, when=when)],
        # a shell's background job has its children ignore SIGINT
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith("edgekd, version")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals(number: signal.Signals, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background job has its children ignore SIGINT
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        began_s = time.monotonic()
        error = process.stderr.read()
        assert process.wait() == code and time.monotonic() - began_s < 5
    assert error.startswith("error: ") and error.count("\n") == 1
    assert "run the same command again" in error


def test_a_reader_that_goes_away_is_no_error() -> None:
    order = f"{sys.executable} -c 'from edgekd.cli import run; run([\"schema\"])' | head -c 1"
    done = subprocess.run(order, shell=True, capture_output=True, text=True)  # noqa: S602
    assert done.stdout == "{" and done.stderr == ""


@pytest.mark.parametrize("arguments", [["--help"], ["methods", "--help"]])
def test_a_closed_output_is_no_missed_budget(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*given: object, **named: object) -> str:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(click.Command, "get_help", refuse)
    monkeypatch.setattr(os, "dup2", lambda *given: None)
    monkeypatch.setattr(border, "exit_on_interruption", lambda: None)
    with pytest.raises(SystemExit) as ended:
        cli.run(arguments)
    assert ended.value.code == border.BROKEN_PIPE and capfd.readouterr().err == ""
    monkeypatch.setattr(click, "echo", refuse)
    border.print_ending(border.CommandExit(2, "said to nobody"), as_json=True)


@pytest.mark.parametrize("where", [["--debug", "methods", "x"], ["methods", "x", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(where: list[str]) -> None:
    code = f"from edgekd.cli import run; run({where!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" in done.stderr and done.stderr.splitlines()[-1].startswith("error: ")


def test_a_fault_of_the_user_s_own_code_is_no_bug_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "import edgekd.task\ndef f(x):\n    assert x % 4 == 0, 'want fours'\n"
    (tmp_path / "own_of_border.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    function = code.load_function("own_of_border:f", "python", allow_code=True)
    got = border.run_guarded(lambda: function(3))[0]
    assert got.code == 2
    assert (
        got.error == f"{tmp_path}/own_of_border.py:3: your code raised AssertionError: want fours"
    )
    assert "details in" in got.hint
    # edgekd's own code stays ours, though the user's imports it
    assert (
        border.run_guarded(lambda: fidelity.measure_agreement(np.zeros(1), np.zeros(1)))[0].code
        == 4
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_falls_into_a_callback_is_not_lost(number: signal.Signals, code: int) -> None:
    class Target:
        pass

    def work() -> None:
        target = Target()
        kept = weakref.ref(target, lambda _: signal.raise_signal(number))
        del target  # the callback runs here, and what it raises is dropped
        assert kept() is None
        time.sleep(5)

    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a job in the background has none
    began_s = time.monotonic()
    try:
        assert border.run_guarded(work)[0].code == code
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began_s < 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_comes_again_does_not_reach_what_follows_the_work() -> None:
    class Target:
        pass

    def work() -> None:
        target = Target()
        kept = weakref.ref(target, lambda _: signal.raise_signal(signal.SIGINT))
        del target
        assert kept() is None

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert border.run_guarded(work)[0].code == 0
        time.sleep(4 * border.AGAIN_S)
    finally:
        signal.signal(signal.SIGINT, before)
