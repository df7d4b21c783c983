from __future__ import annotations

from edgekd.report import gate_annotations
from tests import gate_example


def lines(*outcomes) -> list[str]:
    return list(gate_annotations.annotation_lines(gate_example.document(*outcomes)))


def test_what_failed_is_an_error_and_an_open_question_a_warning_or_an_error() -> None:
    told = lines(
        gate_example.outcome(),
        gate_example.outcome("latency", verdict="fail", text="slow"),
        gate_example.outcome("memory", verdict="inconclusive", text="wide"),
        gate_example.outcome("score", verdict="inconclusive", counts=False, text="few"),
    )
    assert told == [
        "::error title=edgekd gate latency%3A fail::slow (got 340 kB, allowed 343 kB)",
        "::error title=edgekd gate memory%3A inconclusive::wide (got 340 kB, allowed 343 kB)",
        "::warning title=edgekd gate score%3A warning::few (got 340 kB, allowed 343 kB)",
    ]


def unescaped(text: str, *more: tuple[str, str]) -> str:
    """As the runner reads it (ActionCommand.cs): the percent sign last."""
    for escape, sign in (("%0D", "\r"), ("%0A", "\n"), *more, ("%25", "%")):
        text = text.replace(escape, sign)
    return text


def test_no_text_can_end_a_line_or_begin_a_command() -> None:
    text = "50 %\n::stop-commands::x\r\n%0A a,b: c"
    (line,) = lines(gate_example.outcome(text, verdict="fail", text=text))
    assert "\n" not in line and "\r" not in line
    title, _, message = line.removeprefix("::error title=").partition("::")
    assert unescaped(message).startswith(text)
    assert unescaped(title, ("%3A", ":"), ("%2C", ",")) == f"edgekd gate {text}: fail"
    assert "," not in title and ":" not in title
