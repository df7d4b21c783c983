from __future__ import annotations

import io
import sys
import time

import pytest

from edgekd import display as progress
from edgekd.cli.border import ProcessTerminated
from edgekd.progress import Silent


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def work(display: progress.Progress) -> None:
    display.note("before")
    display.stage("teacher")
    display.update(1, 4, "kd 0.123, [not markup] 900/s")
    display.note("a [word] in brackets")
    display.update(4, 4, "kd 0.1")
    display.stage("distil")


def test_plain_lines_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 0.0)
    with progress.make_display(quiet=False, verbose=False) as display:
        work(display)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "before"
    assert lines[1].startswith("teacher:  25 %  kd 0.123, [not markup] 900/s  ")
    assert lines[1].endswith("s left")
    assert lines[2] == "teacher: a [word] in brackets"
    assert [line.split(" after")[0] for line in lines[4:]] == ["teacher: ended", "distil: ended"]


def test_plain_lines_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.make_display(quiet=False, verbose=False) as display:
        work(display)
    assert len(capsys.readouterr().err.splitlines()) == 4


def test_a_terminal_gets_a_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(progress, "_REFRESH_PER_S", 1000)
    with progress.make_display(quiet=False, verbose=False) as display:
        display.stage("teacher")
        display.update(1, 4, "kd 0.123, [not markup] 900/s")
        give_up_s = time.monotonic() + 10
        while "25%" not in terminal.getvalue() and time.monotonic() < give_up_s:
            time.sleep(0.01)
        display.note("a [word] in brackets")
    text = terminal.getvalue()
    assert "25%" in text and "[not markup] 900/s" in text and "a [word] in brackets" in text
    assert "teacher: ended after" in text and "\x1b[31m" not in text


def test_a_dumb_terminal_and_verbose_get_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    for term, verbose in (("dumb", False), ("xterm", True)):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", term)
        with progress.make_display(quiet=False, verbose=verbose) as display:
            work(display)
        assert "\x1b" not in terminal.getvalue()


def test_quiet_is_silent() -> None:
    with progress.make_display(quiet=True, verbose=False) as display:
        assert isinstance(display, Silent)


def test_an_error_ends_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(KeyError), progress.make_display(quiet=False, verbose=False) as display:
        display.stage("teacher")
        raise KeyError
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is shown again


@pytest.mark.parametrize("terminal", ["dumb", "xterm"])
@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (KeyboardInterrupt, "interrupted"),
        (ProcessTerminated, "interrupted"),
        (ValueError, "failed"),
    ],
)
def test_only_what_ended_is_said_to_have_ended(
    monkeypatch: pytest.MonkeyPatch, terminal: str, raised: type[BaseException], says: str
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", terminal)
    with pytest.raises(raised), progress.make_display(quiet=False, verbose=False) as display:
        display.stage("data")
        display.stage("teacher")
        raise raised
    assert "data: ended after" in screen.getvalue()
    assert f"teacher: {says} after" in screen.getvalue()
    assert "teacher: ended" not in screen.getvalue()


@pytest.mark.parametrize("terminal", ["dumb", "xterm"])
def test_what_goes_wrong_between_stages_is_no_stage_s(
    monkeypatch: pytest.MonkeyPatch, terminal: str
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", terminal)
    with pytest.raises(KeyError), progress.make_display(quiet=False, verbose=False) as display:
        display.stage("report")
        display.end()
        display.note("placing")
        raise KeyError
    text = screen.getvalue()
    assert text.count("report: ended after") == 1 and "failed" not in text
    assert "report: placing" not in text
