"""``edgekd bundle``: the bundle of a run as one file, signed if you like."""

from __future__ import annotations

from pathlib import Path

import click

from edgekd.cli import completions
from edgekd.cli import options
from edgekd.cli.screen import echo

PASSWORD = "EDGEKD_KEY_PASSWORD"


@click.command(epilog="Example: edgekd bundle runs/quickstart -o student.edgekd")
@click.argument(
    "run", metavar="RUN", shell_complete=completions.complete_run, type=click.Path(path_type=Path)
)
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    required=True,
    type=click.Path(path_type=Path),
    help="File to write, or folder with --genai.",
)
@click.option(
    "--genai",
    is_flag=True,
    help="Write a folder that ONNX Runtime GenAI loads, of a language model, in place of the one file.",
)
@options.replace
@click.option(
    "--sign",
    "key",
    metavar="KEY.pem",
    type=click.Path(path_type=Path),
    help="Ed25519 private key, as `openssl genpkey -algorithm ed25519` makes it.",
)
def command(run: Path, output: Path, genai: bool, replace: bool, key: Path | None) -> None:
    """Pack the bundle of RUN, a run folder or a bundle itself, as one file.

    A bundle holds the chosen student, its labels, preprocessing, stored answers and measurements. Every file is checked first. The same bundle gives the same bytes, on any machine. With --sign the
    file carries a signature that `edgekd verify FILE --key PUBLIC.pem` asks for; the password of an
    encrypted key is read from EDGEKD_KEY_PASSWORD.
    """
    import os

    from edgekd import bundle
    from edgekd.bundle import archive
    from edgekd.bundle import genai_folder
    from edgekd.bundle import signature
    from edgekd.errors import InputError
    from edgekd.units import bytes_text

    options.require_new(output, replace=replace)
    if output.exists() and output.is_dir() is not genai:
        wanted = "a folder" if genai else "a file"
        raise InputError(f"{output}: got another kind of path, want {wanted}", hint="-o OTHER")
    if genai:
        with archive.open_bundle(run) as folder:
            written = genai_folder.write_genai_folder(bundle.load_bundle(folder), output)
        echo(f"{output}: {', '.join(path.name for path in written)}")
        return
    made = None
    with archive.open_bundle(run) as folder:
        if key is not None:
            digest = bundle.load_bundle(folder).manifest.digest
            made = signature.sign(digest, key, os.environ.get(PASSWORD))
        archive.pack(folder, output, signature=made)
    signed = "" if made is None else ", signed"
    echo(f"{output}: {bytes_text(output.stat().st_size)}{signed}")
