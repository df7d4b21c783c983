"""`edgekd bench`: how fast models are, how much memory they hold, how they start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekd.api.measuring import PROCESSES_MIN
from edgekd.api.measuring import measure_models
from edgekd.api.opening import open_each_size
from edgekd.api.opening import open_inputs
from edgekd.cli import completions
from edgekd.cli import options
from edgekd.cli.bench.subjects import BATCH
from edgekd.cli.bench.subjects import INPUTS
from edgekd.cli.bench.subjects import PRECISION
from edgekd.cli.bench.subjects import SIZES
from edgekd.cli.bench.subjects import print_advice
from edgekd.cli.number_range import NumberRange
from edgekd.cli.screen import print_json
from edgekd.cli.screen import show_running

if TYPE_CHECKING:
    from edgekd.bench.result import MeasurementDocument
    from edgekd.bench.session_record import SessionRecord

FILE = click.Path(path_type=Path)


@click.command(epilog="Example: edgekd bench student.onnx teacher.onnx --threads 1 --threads 2")
@click.argument(
    "models",
    metavar="MODEL...",
    shell_complete=completions.complete_run,
    nargs=-1,
    required=True,
    type=FILE,
)
@click.option(
    "--runtime",
    "runtimes",
    shell_complete=completions.complete_engine,
    metavar="NAME",
    multiple=True,
    help="Engine to run; may be repeated.  [default: all that are installed]",
)
@click.option(
    "--precision",
    "precisions",
    type=PRECISION,
    multiple=True,
    help="Precision of the engine; may be repeated.  [default: the file's own]",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    multiple=True,
    default=(1,),
    show_default=True,
    help="Threads of the engine; may be repeated.",
)
@BATCH
@SIZES
@INPUTS
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of random inputs."
)
@click.option(
    "--processes",
    type=click.IntRange(1, 1000),
    default=30,
    show_default=True,
    help="Most fresh processes a row; an interval needs six.",
)
@click.option(
    "--budget",
    "budget_s",
    metavar="SECONDS",
    type=NumberRange(1, 86400),
    default=60.0,
    show_default=True,
    help="Start no new process after this time.",
)
@click.option(
    "--scenario",
    "scenarios",
    type=click.Choice(["throughput", "cold-start"]),
    multiple=True,
    help="Measure this too: samples/s at the best batch; the start with nothing cached.",
)
@click.option(
    "--latency-bound",
    "bound_ms",
    metavar="MS",
    type=NumberRange(0, min_open=True),
    help="Longest that a batch of --scenario throughput may take.",
)
@click.option(
    "--sustained",
    "sustained_s",
    metavar="SECONDS",
    type=NumberRange(2, 86400),
    help="Run without a pause too: does it slow down as it heats?",
)
@click.option(
    "--rate",
    "rate_hz",
    metavar="HZ",
    type=NumberRange(0.01, 100_000),
    help="Run at this rate too, with idle gaps.",
)
@click.option("--energy", is_flag=True, help="Measure joules too, if a counter can be read (80 s).")
@click.option("--plot", metavar="FILE", type=FILE, help="Draw all latencies, .svg or .png.")
@click.option("--raw", metavar="FILE", type=FILE, help="Keep every raw time, .jsonl.gz.")
@options.key
@options.timeout
@options.device
@click.option(
    "--store", metavar="FOLDER", type=FILE, help="For store:KEY.  [default: $EDGEKD_HOME]"
)
@click.option("--require-quiet", is_flag=True, help="Exit with 5 if the machine was not quiet.")
@click.option("--json", "as_json", is_flag=True, help="Print the published schema's JSON.")
def command(
    models: tuple[Path, ...],
    runtimes: tuple[str, ...],
    precisions: tuple[str, ...],
    threads: tuple[int, ...],
    batch: int | None,
    sizes: tuple[str, ...],
    fed: tuple[str, ...],
    seed: int,
    processes: int,
    budget_s: float,
    scenarios: tuple[str, ...],
    bound_ms: float | None,
    sustained_s: float | None,
    rate_hz: float | None,
    energy: bool,
    plot: Path | None,
    raw: Path | None,
    key: Path | None,
    timeout_s: float,
    device: str,
    store: Path | None,
    require_quiet: bool,
    as_json: bool,
) -> None:
    """Measure each MODEL in fresh processes: an ONNX file, a bundle (folder, .edgekd or a run), OpenVINO
    IR (.xml with .bin), or an engine of the store (store:KEY, the beginning of a compile step's).

    Batch-1 latency is the median over processes with its 95 % interval: the engine's own time, its
    inputs and outputs bound; the caller's is that of a Python program that hands arrays over. A bundle is
    fed its golden inputs, others seeded ones; one with a file or an engine for other sizes is measured there, too. What stayed unstable says so; its numbers still stand.
    """
    from contextlib import ExitStack

    from edgekd import devices
    from edgekd.bench.scenario.run import ScenarioSelection
    from edgekd.bench.session import Rules
    from edgekd.bench.size_options import list_combinations
    from edgekd.bench.user_models import MeasureRequest
    from edgekd.cli.bench import checks

    checks.require_drawable(plot)
    rules = Rules(
        processes_min=min(PROCESSES_MIN, processes),
        processes_max=processes,
        budget_s=budget_s,
        timeout_s=timeout_s,
        seed=seed,
    )
    wanted = ScenarioSelection(
        throughput="throughput" in scenarios,
        bound_ms=bound_ms,
        cold_start="cold-start" in scenarios,
        rate_hz=rate_hz,
        sustained_s=sustained_s,
        energy=energy,
    )
    where = devices.find_device(device)
    with ExitStack() as stack:
        request = MeasureRequest(
            runtimes,
            precisions,
            threads,
            batch,
            rules.timeout_s,
            open_inputs(fed, stack),
            tuple(list_combinations(sizes)),
            store,
            where,
        )
        opened = [each for model in models for each in open_each_size(model, stack, key)]
        names, folders = [name for name, _ in opened], [folder for _, folder in opened]
        record = measure_models(names, folders, request, rules, wanted, stack, show_running)
        show_running("")
        print_advice(record.ready)
        checks.require_any_measured(record.measured)
        made = _write(record, raw, plot)
    if as_json:
        print_json(made.model_dump(mode="json", by_alias=True))
    else:
        from edgekd.cli.bench import tables

        tables.print_document(made)
    checks.require_all_measured(record.measured)
    if require_quiet:
        checks.require_quiet(made)


def _write(record: SessionRecord, raw: Path | None, plot: Path | None) -> MeasurementDocument:
    """Make the document of a session; write its raw times and its plot where paths are given."""
    from edgekd.bench.result import document

    side = None
    if raw is not None:
        from edgekd.bench.result import raw as raw_file

        side = raw_file.write(raw, raw_file.make_lines(record.measured, record.scenarios))
    if plot is not None:
        from edgekd import files
        from edgekd.report import latency_plot

        files.write_output(plot, latency_plot.draw_plot(record.measured, plot.suffix[1:]))
    return document.make_document(record, side)
