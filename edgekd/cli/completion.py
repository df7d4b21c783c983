"""``edgekd completion``: what makes a shell complete edgekd."""

from __future__ import annotations

import click

WAYS = {
    "bash": 'eval "$(edgekd completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(edgekd completion zsh)"   # in ~/.zshrc',
    "fish": "edgekd completion fish | source   # in ~/.config/fish/config.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(WAYS)), required=False)
@click.pass_context
def command(context: click.Context, shell: str | None) -> None:
    """Print the completion script of SHELL; without SHELL, the line for each shell's start-up file."""
    from click.shell_completion import get_completion_class

    if shell is None:
        for line in WAYS.values():
            click.echo(line)
        return
    kind = get_completion_class(shell)
    assert kind is not None
    completion = kind(context.find_root().command, {}, "edgekd", "_EDGEKD_COMPLETE")
    # `source()` asks the installed bash for its version; the script itself needs no shell here.
    click.echo(completion.source_template % completion.source_vars())
