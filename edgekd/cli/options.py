"""Options that several verbs have in common."""

from __future__ import annotations

from pathlib import Path

import click

from edgekd.cli import completions
from edgekd.device import TIMEOUT_S

timeout = click.option(
    "--timeout",
    "timeout_s",
    metavar="SECONDS",
    type=click.FloatRange(1, 86400),
    default=TIMEOUT_S,
    show_default=True,
    help="End one worker, a build or an engine, that takes longer.",
)
key = click.option(
    "--key",
    metavar="PUBLIC.pem",
    type=click.Path(path_type=Path),
    help="Ed25519 public key that must have signed the bundle.",
)
device = click.option(
    "--device",
    shell_complete=completions.complete_device,
    default="local",
    metavar="NAME",
    help="Device to measure on.",
)
