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
    click.echo(f"{screen.volume()} {other}")


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
