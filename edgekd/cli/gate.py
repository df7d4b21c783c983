"""``edgekd gate``: may a run replace its baseline?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekd.cli import completions
from edgekd.cli import options
from edgekd.cli.screen import echo
from edgekd.cli.screen import print_columns
from edgekd.cli.screen import print_json
from edgekd.cli.screen import show_running

if TYPE_CHECKING:
    from edgekd.report.gate_result import GateDocument

FILE = click.Path(dir_okay=False, path_type=Path)
HEADER = ("gate", "got", "allowed", "95 % interval", "verdict")


@click.command(
    epilog="Example: edgekd gate runs/quickstart --baseline release/student.edgekd "
    "--policy ci/gates.yaml --junit gate.xml"
)
@click.argument(
    "run",
    metavar="RUN",
    shell_complete=completions.complete_run,
    type=click.Path(exists=True, path_type=Path),
)
@click.option(
    "--baseline",
    shell_complete=completions.complete_run,
    required=True,
    metavar="RUN-or-BUNDLE",
    type=click.Path(exists=True, path_type=Path),
    help="Run or bundle to compare with.",
)
@click.option("--policy", type=FILE, help="The gates, YAML or TOML.  [default: all, usual limits]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option(
    "--samples",
    type=FILE,
    help="Samples with their targets, .npz or a split.  [default: the test split]",
)
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of stored results, which hold the run's test split.",
)
@options.key
@options.device
@click.option("--allow-code", is_flag=True, help="Let the authors' own task run, python:....")
@click.option("--json", "as_json", is_flag=True, help="Print the published schema's JSON.")
@click.option("--junit", type=FILE, metavar="FILE", help="Write JUnit XML.")
@click.option("--summary", type=FILE, metavar="FILE", help="Write the table as Markdown.")
@click.option("--annotations", is_flag=True, help="Print GitHub's ::error and ::warning lines.")
def command(
    run: Path,
    baseline: Path,
    policy: Path | None,
    overrides: tuple[str, ...],
    samples: Path | None,
    store: Path | None,
    key: Path | None,
    device: str,
    allow_code: bool,
    as_json: bool,
    junit: Path | None,
    summary: Path | None,
    annotations: bool,
) -> None:
    """Compare RUN, a run folder or bundle, with a baseline; fail if it is worse than allowed.

    With --key the baseline must be signed, and RUN unless it is a run folder. The baseline is run again in the same job: stored milliseconds are never compared. Exit codes:
    0 all gates pass, 1 one failed, 2 wrong input, 3 the machine lacks something, 5 nothing failed
    but one that counts could not be decided.
    """
    from edgekd import devices
    from edgekd import run as runs
    from edgekd.gating import policy as policies
    from edgekd.gating import session
    from edgekd.store import Store

    ask = session.GatingRequest(
        run=run,
        baseline=baseline,
        policy=policies.load(policy, overrides),
        store=Store(store or runs.default_store()),
        samples=samples,
        device=devices.find_device(device),
        key=key,
        allow_code=allow_code,
    )
    found = session.run_gates(ask, note=show_running)
    show_running("")
    _write(found, junit, summary)
    if annotations:
        _annotate(found, err=as_json)
    if as_json:
        print_json(found.model_dump(mode="json", by_alias=True))
    else:
        _show(found)
    _conclude(found)


def _write(found: GateDocument, junit: Path | None, summary: Path | None) -> None:
    from edgekd import files
    from edgekd.report import gate_junit
    from edgekd.report import gate_markdown

    if junit is not None:
        files.write_output(junit, gate_junit.junit_xml(found))
    if summary is not None:
        files.write_output(summary, gate_markdown.summary_page(found).encode())


def _annotate(found: GateDocument, *, err: bool) -> None:
    from edgekd.report.gate_annotations import annotation_lines

    for line in annotation_lines(found):
        echo(line, err=err)


def _show(found: GateDocument) -> None:
    from edgekd.errors import EdgekdError
    from edgekd.report import gate_result

    rows = [HEADER]
    for outcome in found.outcomes:
        got, allowed = (
            gate_result.format_value(value, outcome.unit)
            for value in (outcome.got, outcome.allowed)
        )
        interval, word = gate_result.format_interval(outcome), gate_result.verdict_word(outcome)
        rows.append((outcome.gate, got, allowed, interval, word))
    print_columns(rows)
    echo()
    print_columns((outcome.gate, EdgekdError(outcome.text).line()) for outcome in found.outcomes)
    for warning in gate_result.list_warnings(found):
        echo(EdgekdError(f"warning: {warning}").line())


def _conclude(found: GateDocument) -> None:
    """Raise unless all gates pass.

    Raises:
        BudgetMissed: naming the first that failed.
        Inconclusive: naming the first that counts and could not be decided.
    """
    from edgekd.errors import BudgetMissed
    from edgekd.errors import Inconclusive

    if found.verdict == "pass":
        return
    first = next(o for o in found.outcomes if o.counts and o.verdict == found.verdict)
    kind = BudgetMissed if found.verdict == "fail" else Inconclusive
    raise kind(f"gate {first.gate}: {first.text}")
