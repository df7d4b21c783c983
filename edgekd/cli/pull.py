"""``edgekd pull``: a bundle from the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

import click

from edgekd.cli.screen import echo
from edgekd.errors import InputError


@click.command(epilog="Example: edgekd pull me/digits --allow-download")
@click.argument("repo", metavar="OWNER/NAME")
@click.option("--revision", metavar="NAME", help="Branch, tag or commit.  [default: main]")
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Folder to make.  [default: NAME]",
)
@click.option("--allow-download", is_flag=True, help="Use the network.")
def command(repo: str, revision: str | None, output: Path | None, allow_download: bool) -> None:
    """Download the bundle OWNER/NAME from the Hugging Face Hub.

    Every file is checked, and the model looked at, before the folder appears. Then: edgekd verify FOLDER.
    """
    from edgekd.hub import transfer
    from edgekd.units import bytes_text

    if not allow_download:
        raise InputError(
            f"{repo}: got no leave to download it, want --allow-download",
            hint=f"edgekd pull {repo} --allow-download",
        )
    done = transfer.pull(repo, output or Path(repo.rpartition("/")[2]), revision=revision)
    echo(f"{done.place}: {bytes_text(done.size_bytes)}, commit {done.commit}")
