"""`edgekd bench --self-check`: how small a difference can this machine tell today?"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import click

from edgekd.cli.screen import echo
from edgekd.cli.screen import print_json

if TYPE_CHECKING:
    from edgekd.bench.pair.run import PairedRun

BY_PAIRS = (15, 30)


@click.command()
@click.option(
    "--pairs",
    type=click.IntRange(6, 1000),
    default=10,
    show_default=True,
    help="Pairs of fresh processes of one and the same model.",
)
@click.option("--runtime", metavar="NAME", help="Engine to run.  [default: the first installed]")
@click.option("--device", default="local", metavar="NAME", help="Device to check.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(pairs: int, runtime: str | None, device: str, as_json: bool) -> None:
    """Compare a small built-in model with itself, and say what `edgekd bench compare` could tell.

    The smallest slowdown that 15 and 30 pairs would find in nine of ten runs. Needs no model.
    """
    import tempfile
    from contextlib import ExitStack
    from pathlib import Path

    from edgekd import devices
    from edgekd import files
    from edgekd.bench.pair import reference_model
    from edgekd.bench.pair.run import PairRules
    from edgekd.bench.user_models import MeasureRequest
    from edgekd.cli.bench import compare
    from edgekd.cli.bench import subjects
    from edgekd.device import TIMEOUT_S

    where = devices.find_device(device)
    ask = MeasureRequest(
        subjects.require_engine(runtime), ("fp32",), (1,), 1, TIMEOUT_S, device=where
    )
    rules = PairRules(pairs=pairs, memory=False, canary_every=3)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="edgekd-"))
        model = Path(folder) / "yardstick.onnx"
        files.write_bytes(model, reference_model.make_model())
        ready = subjects.prepare_contender(model, ask, stack)
        found = compare.run_comparison([ready, ready], rules, where)
    told = summarize(found)
    if as_json:
        print_json(told)
    else:
        for line in describe_summary(told):
            echo(line)


def summarize(found: PairedRun) -> dict[str, Any]:
    """Return what the pairs say of the machine, as JSON."""
    from edgekd.bench.machine import canary
    from edgekd.bench.pair.comparison import smallest_effect

    compared, valid = found.compared, found.validity()
    assert compared is not None
    delta = found.rules.delta
    return {
        "subject": found.a.name,
        "pairs": len(found.pairs),
        "delta": delta,
        "smallest_effect": {
            str(pairs): smallest_effect(found.log_ratios(), pairs, delta=delta)
            for pairs in BY_PAIRS
        },
        "ratio": compared.ratio,
        "interval": compared.interval,
        "verdict": compared.verdict,
        "canary_variation": canary.compute_variation(found.snapshot_log.canaries_ns),
        "milliseconds_hold": not found.snapshot_log.drifts(),
        "valid": {"ok": valid.ok, "reasons": valid.reasons, "warnings": valid.warnings},
        "log_ratios": found.log_ratios(),
    }


def describe_summary(told: dict[str, Any]) -> list[str]:
    """The same in words."""
    effects = told["smallest_effect"]
    few, many = (f"{100 * effects[str(pairs)]:.1f} %" for pairs in BY_PAIRS)
    lines = [
        f"This machine can tell a model that is {few} slower with {BY_PAIRS[0]} pairs, {many} with "
        f"{BY_PAIRS[1]}, nine times in ten.",
        f"One model against itself came out at {told['ratio']:.3f} ({told['pairs']} pairs): "
        f"{told['verdict']}.",
    ]
    varied = told["canary_variation"]
    if varied is not None:
        hold = "hold" if told["milliseconds_hold"] else "do not hold, ratios do"
        lines.append(f"A fixed piece of work varied by {100 * varied:.1f} %: milliseconds {hold}.")
    lines += [f"Not fit to be measured: {reason}." for reason in told["valid"]["reasons"]]
    return lines + [f"Note: {warning}." for warning in told["valid"]["warnings"]]
