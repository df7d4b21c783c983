"""`edgekd bench`: how fast models are here, how much memory they hold, how they start."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekd.cli.screen import print_columns
from edgekd.cli.screen import print_json

if TYPE_CHECKING:
    from edgekd.bench.result import Metric
    from edgekd.bench.result import Result
    from edgekd.bench.session import Measured
    from edgekd.bench.session import Subject
    from edgekd.bench.user_models import Ready

HEADER = (
    "model",
    "engine",
    "p50 ms",
    "95 % interval",
    "p90 ms",
    "peak RSS",
    "cold start",
    "status",
)
PROCESSES_MIN = 6


@click.command(epilog="Example: edgekd bench student.onnx teacher.onnx --threads 1 --threads 2")
@click.argument(
    "models",
    metavar="MODEL...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
@click.option(
    "--runtime",
    "runtimes",
    metavar="NAME",
    multiple=True,
    help="Engine to run, may be repeated; all that are installed.",
)
@click.option(
    "--precision",
    "precisions",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    multiple=True,
    default=("fp32",),
    show_default=True,
    help="Arithmetic of the engine, may be repeated.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    multiple=True,
    default=(1,),
    show_default=True,
    help="Threads of the engine, may be repeated.",
)
@click.option("--batch", type=click.IntRange(1, 4096), default=1, show_default=True)
@click.option(
    "--processes",
    type=click.IntRange(1, 1000),
    default=30,
    show_default=True,
    help="At most this many fresh processes each; an interval needs six.",
)
@click.option(
    "--budget",
    "budget_s",
    metavar="SECONDS",
    type=click.FloatRange(1, 86400),
    default=60.0,
    show_default=True,
    help="Start no process after this.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the published schema's JSON.")
def command(
    models: tuple[Path, ...],
    runtimes: tuple[str, ...],
    precisions: tuple[str, ...],
    threads: tuple[int, ...],
    batch: int,
    processes: int,
    budget_s: float,
    as_json: bool,
) -> None:
    """Measure each MODEL, an ONNX file or a bundle folder, in fresh processes on this machine.

    Batch-1 latency is the median over processes with its 95 % interval. A bundle is fed its golden
    inputs, an ONNX file seeded ones. What stayed unstable says so; its numbers still stand.
    """
    import tempfile

    from edgekd import runtimes as table
    from edgekd.bench import session
    from edgekd.bench import user_models

    for name in runtimes:
        table.find(name)
    rules = session.Rules(
        processes_min=min(PROCESSES_MIN, processes), processes_max=processes, budget_s=budget_s
    )
    ask = user_models.Ask(runtimes, precisions, threads, batch, rules.timeout_s)
    with tempfile.TemporaryDirectory(prefix="edgekd-") as scratch:
        ready: list[Ready] = []
        subjects = _collected(user_models.ready(models, ask, Path(scratch)), ready)
        measured = session.measure(subjects, rules, note=_note)
    _note("")
    _want_any(measured)
    from edgekd.bench import document

    made = document.document(ready, measured, rules)
    if as_json:
        print_json(made.model_dump(mode="json", by_alias=True))
    else:
        print_columns([HEADER, *(_row(result) for result in made.results)])
    _want_all(measured)


def _collected(coming: Iterator[Ready], ready: list[Ready]) -> Iterator[Subject]:
    """The subjects as they are compiled; `ready` keeps what is known of each."""
    for one in coming:
        ready.append(one)
        yield one.subject


def _note(text: str) -> None:
    """The running process, on one line that is drawn anew; nothing where there is no terminal."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{text}", nl=False, err=True)


def _want_any(measured: Sequence[Measured]) -> None:
    """Nothing, if one subject was measured.

    Raises:
        InputError: if none was, and the first was refused.
        MachineError: if none was, and the first one's worker failed.
    """
    from edgekd.errors import InputError
    from edgekd.errors import MachineError

    if any(found.processes for found in measured):
        return
    first = measured[0]
    message = first.failure or "the budget ended before the first process"
    raise (InputError if first.refused else MachineError)(f"{first.subject.name}: {message}")


def _want_all(measured: Sequence[Measured]) -> None:
    """Nothing, if every subject was measured.

    Raises:
        Inconclusive: naming the first that was not.
    """
    from edgekd.errors import Inconclusive

    for found in measured:
        if found.failure or not found.processes:
            raise Inconclusive(f"{found.subject.name}: {found.failure or 'the budget ended'}")


def _row(result: Result) -> tuple[str, ...]:
    from edgekd.units import bytes_text

    by_name = {metric.name: metric for metric in result.metrics}
    p50, peak = by_name["latency_p50"], by_name["peak_rss"]
    name, _, engine = result.subject.name.rpartition(" ")
    interval = "-" if p50.ci95 is None else f"{p50.ci95[0]:.4g} to {p50.ci95[1]:.4g}"
    return (
        name,
        engine,
        _shown(p50),
        interval,
        _shown(by_name["latency_p90"]),
        "-" if peak.value is None else bytes_text(peak.value),
        f"{_shown(by_name['tti_ms'])} ms",
        result.status
        if result.status in ("ok", "unstable")
        else f"{result.status}: {result.reason}",
    )


def _shown(metric: Metric) -> str:
    return "-" if metric.value is None else f"{metric.value:.4g}"
