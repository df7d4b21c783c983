"""Every verb and its options as a page, from the command line itself."""

from __future__ import annotations

from collections.abc import Iterator

import click

from edgekd import cli


def commands_page() -> str:
    """What `--help` of every verb prints."""
    lines = [
        "# Commands",
        "",
        "What `edgekd VERB --help` prints. Exit codes are in the [guide](../guide.md#exit-codes).",
    ]
    with click.Context(cli.main, info_name="edgekd") as context:
        for path, command in _all_commands(cli.main, context, "edgekd"):
            with click.Context(command, info_name=path, max_content_width=100) as inner:
                shown = command.get_help(inner)
            lines += ["", f"## {path}", "", "```text", shown, "```"]
    return "\n".join(lines) + "\n"


def _all_commands(
    group: click.Command, context: click.Context, path: str
) -> Iterator[tuple[str, click.Command]]:
    """Every command below a group, by what is typed."""
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        yield f"{path} {name}", command
        yield from _all_commands(command, context, f"{path} {name}")
