from __future__ import annotations

import contextlib
import io
from collections import Counter

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
@given(
    st.integers(1, 6).flatmap(
        lambda count: st.lists(
            st.tuples(*[st.text("ab -", max_size=60)] * count), min_size=1, max_size=5
        )
    )
)
def test_a_table_fits_and_loses_no_letter(columns: int, rows: list[tuple[str, ...]]) -> None:
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(printed):
        patched.setenv("COLUMNS", str(columns))
        screen.print_columns(rows)
    lines = printed.getvalue().splitlines()
    assert max(map(len, lines)) <= columns
    letters = Counter("".join(lines).replace(" ", ""))
    assert letters == Counter("".join(map("".join, rows)).replace(" ", ""))


def test_the_longest_column_is_wrapped_and_names_are_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    screen.print_columns([("a-name-of-method", "what it is called in words of people", "5")])
    assert capsys.readouterr().out.splitlines() == [
        "a-name-of-method  what it is called    5",
        "                  in words of people",
    ]


def test_a_wrapped_cell_keeps_its_indent_and_its_options(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    screen.print_columns([("  a", "what to add is this: --data-dir DIR, or else")])
    assert capsys.readouterr().out == "  a  what to add is this: --data-dir\n     DIR, or else\n"
    screen.print_columns([("  one of several words", "what is said of it in words")])
    assert all(line.startswith("  ") for line in capsys.readouterr().out.splitlines())


def test_a_hostile_cell_is_measured_as_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    screen.print_columns([("\x1b" * 30, "b"), ("a", "c")])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


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
