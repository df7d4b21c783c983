"""``edgekd verify``: is a bundle as it was written, and does it answer as it should here?"""

from __future__ import annotations

from pathlib import Path

import click


@click.command(epilog="Example: edgekd verify runs/quickstart/bundle")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--runtime", metavar="NAME", help="Engine to run; the chosen one if it is installed.")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
def command(folder: Path, runtime: str | None, as_json: bool) -> None:
    """Check the bundle in DIR: the digest of every file, then the golden answers through an engine.

    Needs an engine, no torch. Exit codes: 0 all is well, 1 something has changed or the answers
    differ, 2 DIR is no bundle, 3 no engine is installed.
    """
    from edgekd import files
    from edgekd.bundle import verify as bundle_verify

    report = bundle_verify.verify(folder, runtime)
    if as_json:
        checks = [check._asdict() for check in report.checks]
        click.echo(files.pretty_json({"name": report.name, "checks": checks}), nl=False)
    else:
        width = max(len(check.what) for check in report.checks)
        for check in report.checks:
            click.echo(f"{check.what:{width}}  {check.verdict}: {check.text}")
    bundle_verify.conclude(report)
