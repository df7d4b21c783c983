"""Options that several verbs have in common."""

from __future__ import annotations

from pathlib import Path

import click

from edgekd.cli import completions
from edgekd.cli.number_range import NumberRange
from edgekd.device import TIMEOUT_S

timeout = click.option(
    "--timeout",
    "timeout_s",
    metavar="SECONDS",
    type=NumberRange(1, 86400),
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
replace = click.option("--replace", is_flag=True, help="Replace a file that is there already.")
device = click.option(
    "--device",
    shell_complete=completions.complete_device,
    default="local",
    metavar="NAME",
    help="Device to measure on.",
)
_FOLDER = click.Path(file_okay=False, path_type=Path)
store = click.option(
    "--store",
    type=_FOLDER,
    help="Folder of stored results.  [default: $EDGEKD_HOME, else the user's cache folder]",
)
overrides = click.option(
    "--set",
    "overrides",
    shell_complete=completions.complete_key,
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key of the recipe; may be repeated.",
)
data_dir = click.option("--data-dir", type=_FOLDER, help="Folder of the public data sets.")
allow_code = click.option(
    "--allow-code", is_flag=True, help="Run your own code: python: names in the recipe."
)
allow_download = click.option(
    "--allow-download", is_flag=True, help="Download data and weights that are missing."
)
no_wait = click.option(
    "--no-wait", is_flag=True, help="Fail, do not wait, while another run uses the same files."
)


def require_new(path: Path, *, replace: bool) -> None:
    """
    Raises:
        InputError: if something is at `path`, where a verb is to write, and may not be replaced.
    """
    import os

    from edgekd.errors import InputError

    if os.path.lexists(path) and not replace:
        raise InputError(f"{path}: exists already, want a new file", hint="-o OTHER, or --replace")
