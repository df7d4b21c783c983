"""`edgekd bench MODEL...` measures; `edgekd bench compare A B` says which of two is faster."""

from __future__ import annotations

import importlib
import inspect

import click

from edgekd.cli.screen import add_volume

DEFAULT, SELF_CHECK = "measure", "self-check"
COMMANDS = {
    "measure": "edgekd.cli.bench.measure",
    "compare": "edgekd.cli.bench.compare",
    SELF_CHECK: "edgekd.cli.bench.self_check",
}
ELSEWHERE = """\b
Two others, each with its own --help:
  edgekd bench compare A B    is B faster than A, slower, or the same?
  edgekd bench --self-check   how small a difference can this machine tell?
"""


class _Bench(click.Group):
    """A group whose verb may be left out: what is no verb is a model to measure."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, add_default_verb(args))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        if cmd_name == DEFAULT and ELSEWHERE not in (command.help or ""):
            command.help = f"{inspect.cleandoc(command.help or '')}\n\n{ELSEWHERE}"
        return add_volume(command)


def add_default_verb(args: list[str]) -> list[str]:
    """The arguments, opened by the verb that they mean."""
    if args and args[0] in COMMANDS:
        return args
    if f"--{SELF_CHECK}" in args:
        return [SELF_CHECK, *(arg for arg in args if arg != f"--{SELF_CHECK}")]
    return [DEFAULT, *args]


command = _Bench("bench", help="Measure models on this machine, or compare two of them.")
