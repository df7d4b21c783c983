"""`edgekd bench compare`: is B faster than A, slower, or the same?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekd.api.opening import open_inputs
from edgekd.cli import options
from edgekd.cli.bench.subjects import BATCH
from edgekd.cli.bench.subjects import INPUTS
from edgekd.cli.bench.subjects import PRECISION
from edgekd.cli.bench.subjects import SIZES
from edgekd.cli.bench.subjects import prepare_contender
from edgekd.cli.bench.subjects import require_engine
from edgekd.cli.number_range import NumberRange
from edgekd.cli.screen import echo
from edgekd.cli.screen import print_columns
from edgekd.cli.screen import print_json
from edgekd.cli.screen import show_running

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekd.bench.pair.document import ComparedSide
    from edgekd.bench.pair.document import ComparisonDocument
    from edgekd.bench.pair.run import PairedRun
    from edgekd.bench.pair.run import PairRules
    from edgekd.bench.size_options import Sizes
    from edgekd.bench.user_models import PreparedSubject
    from edgekd.device import Device

MODEL = click.Path(path_type=Path)
THREADS = click.IntRange(1, 1024)
HEADER = ("", "model", "engine", "p50 ms", "95 % interval", "peak RSS")
VERDICTS = ("faster", "slower", "equivalent", "not-slower")


@click.command(
    epilog="Example: edgekd bench compare old.onnx new.onnx --require not-slower. "
    "One model under two settings: edgekd bench compare m.onnx m.onnx --threads-b 2"
)
@click.argument("a", type=MODEL)
@click.argument("b", type=MODEL)
@click.option("--runtime", metavar="NAME", help="Engine of both.  [default: the first installed]")
@click.option("--runtime-b", metavar="NAME", help="Another engine for B.")
@click.option("--precision", type=PRECISION, help="Precision of both.  [default: the file's own]")
@click.option("--precision-b", type=PRECISION, help="Another precision for B.")
@click.option("--threads", type=THREADS, default=1, show_default=True, help="Threads of both.")
@click.option("--threads-b", type=THREADS, help="Another number of threads for B.")
@BATCH
@click.option(
    "--pairs",
    type=click.IntRange(6, 1000),
    default=15,
    show_default=True,
    help="Pairs of fresh processes; from 20 on a clear case ends earlier.",
)
@click.option(
    "--delta",
    type=NumberRange(0, 0.5),
    default=0.01,
    show_default=True,
    help="Smallest difference that counts, as a fraction.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of random inputs."
)
@click.option(
    "--budget",
    "budget_s",
    metavar="SECONDS",
    type=NumberRange(1, 86400),
    default=300.0,
    show_default=True,
    help="Start no new pair after this time.",
)
@SIZES
@INPUTS
@options.key
@options.timeout
@options.device
@click.option(
    "--store", type=MODEL, metavar="FOLDER", help="For store:KEY.  [default: $EDGEKD_HOME]"
)
@click.option(
    "--require", type=click.Choice(VERDICTS), help="Exit with 1 or 5 on any other verdict."
)
@click.option("--json", "as_json", is_flag=True, help="Print the published schema's JSON.")
def command(
    a: Path,
    b: Path,
    runtime: str | None,
    runtime_b: str | None,
    precision: str | None,
    precision_b: str | None,
    threads: int,
    threads_b: int | None,
    batch: int | None,
    pairs: int,
    delta: float,
    seed: int,
    budget_s: float,
    sizes: tuple[str, ...],
    fed: tuple[str, ...],
    key: Path | None,
    timeout_s: float,
    device: str,
    store: Path | None,
    require: str | None,
    as_json: bool,
) -> None:
    """Compare two models by interleaved fresh processes; each is what `edgekd bench` takes.

    Says what B's time is of A's, with an interval that repeats hold, and one of: faster, slower,
    equivalent (within --delta), unresolved (more --pairs may tell). 15 pairs take about 20 s.
    """
    from contextlib import ExitStack

    from edgekd import devices
    from edgekd.bench.machine.host import describe_host
    from edgekd.bench.pair.document import make_document
    from edgekd.bench.pair.run import PairRules
    from edgekd.bench.result.document import subject_facts
    from edgekd.bench.user_models import MeasureRequest

    where = devices.find_device(device)
    rules = PairRules(pairs=pairs, delta=delta, budget_s=budget_s, timeout_s=timeout_s, seed=seed)
    with ExitStack() as stack:
        of_a = MeasureRequest(
            require_engine(runtime),
            one_precision(precision),
            (threads,),
            batch,
            timeout_s,
            open_inputs(fed, stack),
            one_combination(sizes),
            store,
            where,
            beside=(b,),
        )
        of_b = of_a._replace(
            beside=(a,),
            runtimes=require_engine(runtime_b or runtime),
            precisions=one_precision(precision_b or precision),
            threads=(threads_b or threads,),
        )
        ready = [prepare_contender(a, of_a, stack, key), prepare_contender(b, of_b, stack, key)]
        found = run_comparison(ready, rules, where)
        made = make_document(
            found, (subject_facts(ready[0]), subject_facts(ready[1])), describe_host(where)
        )
    if as_json:
        print_json(made.model_dump(mode="json", by_alias=True))
    else:
        _show(made)
    require_verdict(made, require)


def one_precision(precision: str | None) -> tuple[str, ...]:
    """The precision that was named as a tuple; an empty one without a name."""
    return () if precision is None else (precision,)


def one_combination(options: tuple[str, ...]) -> tuple[Sizes, ...]:
    """The sizes of both models.

    Raises:
        InputError: if there are several of one axis.
    """
    from edgekd.bench.size_options import list_combinations
    from edgekd.errors import InputError

    found = list_combinations(options)
    if len(found) == 2 and not found[0]:
        found = found[1:]  # one length of a decoder's text
    if len(found) > 1:
        raise InputError(f"--size: got {len(found)} combinations, want one: both models run in it")
    return tuple(found)


def run_comparison(ready: Sequence[PreparedSubject], rules: PairRules, device: Device) -> PairedRun:
    """Run the comparison of the two, with its progress on one live line.

    Raises:
        InputError: if a model refuses its inputs.
        Inconclusive: if a process failed, or no pair was finished.
    """
    import functools

    from edgekd.bench.pair.run import run_pairs
    from edgekd.bench.process import run_worker
    from edgekd.errors import Inconclusive
    from edgekd.errors import InputError

    worker = functools.partial(run_worker, device=device)
    found = run_pairs(ready[0].subject, ready[1].subject, rules, note=show_running, worker=worker)
    show_running("")
    if found.failure:
        raise (InputError if found.refused else Inconclusive)(found.failure)
    if found.compared is None:
        raise Inconclusive("the budget ended before the first pair", hint="a larger --budget")
    return found


def require_verdict(made: ComparisonDocument, require: str | None) -> None:
    """Require the verdict that `require` names, if it names one.

    Raises:
        BudgetMissed: if it is another.
        Inconclusive: if it is unresolved, or the machine was not fit.
    """
    from edgekd.errors import BudgetMissed
    from edgekd.errors import Inconclusive

    if require is None:
        return
    if not made.valid.ok:
        raise Inconclusive(f"the machine was not fit: {'; '.join(made.valid.reasons)}")
    allowed = ("faster", "equivalent") if require == "not-slower" else (require,)
    if made.verdict in allowed or (require == "not-slower" and _no_slower(made)):
        return
    if made.verdict == "unresolved":
        raise Inconclusive(f"verdict: got unresolved, want {require}", hint="more --pairs")
    raise BudgetMissed(f"verdict: got {made.verdict}, want {require}")


def _no_slower(made: ComparisonDocument) -> bool:
    """Return whether the interval's upper end stays below the margin, faster or not."""
    interval = made.ratios[0].interval
    return interval is not None and interval[1] <= 1 + made.delta


def _show(made: ComparisonDocument) -> None:
    print_columns([HEADER, _row("A", made.a), _row("B", made.b)])
    echo(made.sentence)
    if made.verdict == "unresolved" and made.ratios[0].pairs < 30:
        echo("That is not the same as equal. More may tell: --pairs 30")
    if made.a.latency_p50_ms is None:
        echo("No milliseconds: the machine drifted while it measured; the ratio holds.")
    for reason in made.valid.reasons:
        echo(f"This machine was not fit to be measured: {reason}")
    for warning in made.valid.warnings:
        echo(f"note: {warning}", err=True)


def _row(letter: str, side: ComparedSide) -> tuple[str, ...]:
    from edgekd.units import bytes_text

    name, engine = side.subject.columns
    limits = side.latency_p50_ci95_ms
    return (
        letter,
        name,
        engine,
        "-" if side.latency_p50_ms is None else f"{side.latency_p50_ms:.4g}",
        "-" if limits is None else f"{limits[0]:.4g} to {limits[1]:.4g}",
        "-" if side.peak_rss_bytes is None else bytes_text(side.peak_rss_bytes),
    )
