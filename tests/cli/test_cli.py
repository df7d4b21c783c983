from __future__ import annotations

import signal
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from edgekd import cli


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """A process that has left its command says nothing to a signal; this one goes on."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_verb_has_help_and_takes_the_volume(name: str) -> None:
    done = CliRunner().invoke(cli.main, [name, "--help", "-q"])
    assert done.exit_code == 0 and "--quiet" in done.stdout and "--debug" in done.stdout
    command = cli.main.get_command(click.Context(cli.main), name)
    assert command is not None and command.help and len(cli.COMMANDS[name].summary) <= 60


def test_help_lists_every_verb() -> None:
    text = CliRunner().invoke(cli.main, ["-h"]).stdout
    assert all(f"\n  {name} " in text for name in cli.COMMANDS)


@pytest.mark.parametrize("verb", ["methods", "models", "tasks", "tasks segmentation", "doctor"])
def test_tables_fit_80_columns(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = CliRunner().invoke(cli.main, verb.split()).stdout.splitlines()
    recipe = lines.index("A recipe:") if "A recipe:" in lines else None
    assert lines and max(map(len, lines[:recipe])) <= 80


def test_an_unknown_verb_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.run(["compres", "x"])
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "error: got no command 'compres'; did you mean 'compress'? (see edgekd --help)\n"
    )


def test_no_arguments_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.run([])
    assert caught.value.code == 2 and capsys.readouterr().out.startswith("Usage: edgekd")


def test_completion_of_verbs_imports_none_of_them() -> None:
    items = cli.main.shell_complete(click.Context(cli.main), "co")
    assert [item.value for item in items] == ["compress", "completion"]
    options = cli.main.shell_complete(click.Context(cli.main), "--ver")
    assert "--version" in [item.value for item in options]
