"""``edgekd verify``: is a bundle as it was written, and does it answer as it should here?"""

from __future__ import annotations

from pathlib import Path

import click

from edgekd.cli import completions
from edgekd.cli import options
from edgekd.cli.screen import print_columns
from edgekd.cli.screen import print_json


@click.command(
    epilog="Examples: edgekd verify runs/quickstart; edgekd verify student.edgekd --key release.pub.pem"
)
@click.argument(
    "path",
    metavar="BUNDLE",
    shell_complete=completions.complete_run,
    type=click.Path(path_type=Path),
)
@click.option(
    "--runtime",
    shell_complete=completions.complete_engine,
    metavar="NAME",
    help="Engine to run.  [default: the chosen one, or one that is installed]",
)
@options.key
@options.timeout
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
def command(
    path: Path, runtime: str | None, key: Path | None, timeout_s: float, as_json: bool
) -> None:
    """Check BUNDLE, a folder, one file or a run: its digests, its signature, its golden answers.

    An engine computes the answers again; torch is not needed. A signature is checked against --key;
    without --key the signer is only shown. Exit codes: 0 all checks pass, 1 a file has changed or the
    answers differ, 2 BUNDLE is not a bundle, 3 no engine is installed.
    """
    from edgekd.bundle import archive
    from edgekd.bundle import verify as bundle_verify

    with archive.open_bundle(path) as folder:
        report = bundle_verify.verify(folder, runtime, key=key, timeout_s=timeout_s)
    if as_json:
        checks = [check._asdict() for check in report.checks]
        print_json({"name": report.name, "checks": checks})
    else:
        print_columns((check.what, f"{check.verdict}: {check.text}") for check in report.checks)
    bundle_verify.require_sound(report)
