"""The command line: one verb a file, named in this table and loaded when it is used."""

from __future__ import annotations

import importlib
import sys
import traceback
import warnings
from typing import Any
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from edgekd import garbage
from edgekd.cli import border
from edgekd.cli.screen import Volume
from edgekd.cli.screen import add_volume


class Verb(NamedTuple):
    """The module of a verb's ``command``, and its line in the help."""

    module: str
    summary: str


COMMANDS: dict[str, Verb] = {
    "compress": Verb(
        "edgekd.cli.compress", "Run a recipe: train, distil, compile, measure, bundle."
    ),
    "sweep": Verb("edgekd.cli.sweep", "Run a recipe over settings and seeds; find the best."),
    "quantize": Verb(
        "edgekd.cli.quantize", "Quantize a trained model or an ONNX file; measure it."
    ),
    "distil": Verb("edgekd.cli.distil", "Train a student by a teacher; measure it."),
    "prune": Verb("edgekd.cli.prune", "Take channels out of a trained model; measure it."),
    "bench": Verb("edgekd.cli.bench", "Measure models: latency, memory, start-up; or compare two."),
    "gate": Verb("edgekd.cli.gate", "Fail if a run is worse than its baseline."),
    "bundle": Verb("edgekd.cli.bundle", "Pack a run's bundle as one file, to ship it."),
    "verify": Verb("edgekd.cli.verify", "Check a bundle: digests, signature, stored answers."),
    "predict": Verb("edgekd.cli.predict", "Ask a bundle's model about inputs."),
    "push": Verb("edgekd.cli.push", "Upload a bundle to the Hugging Face Hub."),
    "pull": Verb("edgekd.cli.pull", "Download a bundle from the Hugging Face Hub, checked."),
    "report": Verb("edgekd.cli.report", "Show the report of a finished run."),
    "runs": Verb("edgekd.cli.runs", "List runs: date, score, what was chosen, the budget."),
    "diff": Verb("edgekd.cli.diff", "Show in what two runs differ."),
    "export": Verb("edgekd.cli.export", "Write a run's student for torch, ONNX or an engine."),
    "device": Verb("edgekd.cli.device", "Add, inspect and set up devices reached over ssh."),
    "doctor": Verb("edgekd.cli.doctor", "Show what this machine can run and what to install."),
    "tasks": Verb(
        "edgekd.cli.tasks", "List the tasks: data, outputs, metrics and a recipe of each."
    ),
    "sources": Verb("edgekd.cli.sources", "List the data sources, or say what data hold."),
    "spool": Verb("edgekd.cli.spool", "Write a stream of samples to shards that a recipe reads."),
    "models": Verb("edgekd.cli.models", "List the models a recipe may name."),
    "methods": Verb("edgekd.cli.methods", "List the losses and schemes, with measured results."),
    "init": Verb("edgekd.cli.init", "Write a commented recipe; asks a few questions."),
    "schema": Verb("edgekd.cli.schema", "Print the JSON schema of a recipe or a result."),
    "store": Verb("edgekd.cli.store", "List, check and remove stored results."),
    "knowledge": Verb("edgekd.cli.knowledge", "Build, list, export teachers' stored answers."),
    "completion": Verb("edgekd.cli.completion", "Print the script for completion in your shell."),
}


SHARED = ("compress", "knowledge")
"""Verbs in which all ranks of a launcher take part."""


def require_one_process(verb: str) -> None:
    """Raises InputError if a launcher started several processes of a verb that is for one."""
    from edgekd.errors import InputError
    from edgekd.launch.environment import read_launch

    count = read_launch().size
    if count > 1 and verb not in SHARED:
        raise InputError(
            f"edgekd {verb}: got {count} ranks, want one process",
            hint=f"torchrun is for edgekd {' and edgekd '.join(SHARED)}",
        )


class _Verbs(click.Group):
    """Knows its commands from the table; a verb's module is imported when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        require_one_process(cmd_name)
        if cmd_name not in self.commands:
            command: click.Command = importlib.import_module(COMMANDS[cmd_name].module).command
            command.name = cmd_name
            self.commands[cmd_name] = add_volume(command)
        return self.commands[cmd_name]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        unknown = args[0] not in COMMANDS and not args[0].startswith("-")
        if unknown and not ctx.resilient_parsing:  # a shell that completes wants no error
            from edgekd.errors import find_nearest

            raise click.UsageError(
                f"got no command {args[0]!r}; {find_nearest(args[0], COMMANDS)}", ctx
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.summary) for name, verb in COMMANDS.items()])

    def make_context(self, *given: Any, **named: Any) -> click.Context:
        try:
            return super().make_context(*given, **named)
        except BrokenPipeError as error:  # of --help; click would take it for a failure, too
            raise border.OutputClosed from error

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise border.OutputClosed from error
        except KeyboardInterrupt as error:  # else click prints an empty line and forgets which
            if sys.stderr.isatty():
                click.echo(err=True)
            raise border.interruption_error(error) from error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [
            CompletionItem(name, help=verb.summary)
            for name, verb in COMMANDS.items()
            if name.startswith(incomplete)
        ]


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: edgekd init, then edgekd compress RECIPE. Exit codes: 0 done, 1 a budget "
    "or a gate was missed, 2 wrong input, 3 the machine lacks something, 4 a bug, 5 a measurement was "
    "inconclusive, 130 and 143 interrupted.",
)
@click.version_option(package_name="edgekd", prog_name="edgekd")
@click.pass_context
def main(context: click.Context) -> None:
    """Distil, quantize and compile PyTorch models for edge devices, and measure them there."""
    volume = context.ensure_object(Volume)
    if not (volume.verbose or volume.debug or sys.warnoptions):
        warnings.simplefilter("ignore")


add_volume(main)


def run(arguments: list[str] | None = None) -> None:
    """The entry point: run a verb, print how it failed, exit with its code."""
    garbage.own_process()
    arguments = sys.argv[1:] if arguments is None else arguments
    volume = Volume()
    with border.silence_other_ranks():
        ending, error = border.run_guarded(
            lambda: main.main(arguments, prog_name="edgekd", standalone_mode=False, obj=volume)
        )
    border.exit_on_interruption()
    if error is not None and volume.debug:
        traceback.print_exception(error)
    border.print_ending(ending, as_json="--json" in arguments)
    sys.exit(ending.code)
