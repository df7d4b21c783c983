"""``edgekd push``: a bundle to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

import click

from edgekd.cli import completions
from edgekd.cli.screen import echo


@click.command(epilog="Example: edgekd push runs/quickstart me/digits --allow-upload")
@click.argument(
    "run",
    metavar="BUNDLE|RUN",
    shell_complete=completions.complete_run,
    type=click.Path(path_type=Path),
)
@click.argument("repo", metavar="OWNER/NAME")
@click.option("--allow-upload", is_flag=True, help="Upload; without it, only print what would be.")
@click.option("--public", is_flag=True, help="Make a new repository public, not private.")
@click.option(
    "--license",
    "license_name",
    default="unknown",
    show_default=True,
    metavar="ID",
    help="License of the model, as the Hub spells it: apache-2.0.",
)
def command(run: Path, repo: str, allow_upload: bool, public: bool, license_name: str) -> None:
    """Upload the bundle of BUNDLE or RUN to OWNER/NAME on the Hugging Face Hub, with a model card.

    The card holds the measured values for the Hub to read. Stored answers go along, and they hold some real inputs:
    samples of your data. The token is that of `hf auth login` or HF_TOKEN.
    """
    from edgekd.bundle import archive
    from edgekd.hub import card
    from edgekd.hub import transfer
    from edgekd.report import result
    from edgekd.units import bytes_text

    of_run = (run / "bundle").is_dir() and (run / result.FILE).is_file()
    measured = result.read(run) if of_run else None
    with archive.open_bundle(run / "bundle" if (run / "bundle").is_dir() else run) as folder:
        text = card.write_card(folder, repo, license_name, measured)
        if not allow_upload:
            names = [card.NAME, *sorted(path.name for path in folder.iterdir())]
            echo(f"would upload to {repo}: {', '.join(names)}")
            echo("golden.safetensors holds real inputs of your data")
            echo("give --allow-upload to do so")
            return
        done = transfer.push(folder, repo, text, private=not public)
    echo(f"{done.place}: {bytes_text(done.size_bytes)}, commit {done.commit}")
