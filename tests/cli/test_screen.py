from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from edgekd.cli import screen


@click.group()
def outer() -> None:
    """Outer."""


@outer.command()
@click.option("-v", "other", is_flag=True)
def inner(other: bool) -> None:
    """Inner."""
    click.echo(f"{screen.get_volume()} {other}")


screen.add_volume(outer)


@pytest.mark.parametrize("arguments", [["-q", "inner", "--debug"], ["inner", "-q", "--debug"]])
def test_before_or_after_the_verb(arguments: list[str]) -> None:
    out = CliRunner().invoke(outer, arguments).stdout
    assert out == "Volume(quiet=True, verbose=False, debug=True) False\n"


def test_a_verb_s_own_option_stays_its_own() -> None:
    out = CliRunner().invoke(outer, ["inner", "-v"]).stdout
    assert out == "Volume(quiet=False, verbose=False, debug=False) True\n"


def test_columns(capsys: pytest.CaptureFixture[str]) -> None:
    screen.print_columns([("a", "b"), ("ccc", "")])
    screen.print_columns([])
    assert capsys.readouterr().out == "a    b\nccc\n"


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        screen.print_json(float("nan"))


def test_what_runs_is_told_now_and_then_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([0.0, 14.0, 15.0, 16.0, 31.0])
    monkeypatch.setattr(screen, "_said_s", None)
    monkeypatch.setattr(screen.time, "monotonic", lambda: next(times))

    @outer.command("long")
    def long() -> None:
        for text in ("a", "b", "", "c", "d", "e\x1b"):
            screen.show_running(text)

    assert CliRunner().invoke(outer, ["long"]).stderr == "c\ne\\x1b\n"
    assert CliRunner().invoke(outer, ["-q", "long"]).stderr == ""
