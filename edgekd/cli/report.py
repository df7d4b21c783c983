"""``edgekd report``: what a finished run found."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import click

from edgekd.cli import completions
from edgekd.cli.screen import echo
from edgekd.cli.screen import print_json

HTML = "report.html"


@click.command(
    epilog="Examples: edgekd report runs/quickstart --open; "
    "edgekd report runs/quickstart runs/quickstart-2 -o compare.html"
)
@click.argument("run_dir", shell_complete=completions.complete_run, type=click.Path(path_type=Path))
@click.argument(
    "other",
    required=False,
    shell_complete=completions.complete_run,
    type=click.Path(path_type=Path),
)
@click.option("--json", "as_json", is_flag=True, help="Print result.json instead of the page.")
@click.option("--open", "opens", is_flag=True, help="Open the HTML page and print its path.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="HTML file of two runs side by side; an existing one is replaced.",
)
def command(
    run_dir: Path, other: Path | None, as_json: bool, opens: bool, output: Path | None
) -> None:
    """Print the report of the finished run in RUN_DIR, or write that run and OTHER side by side."""
    from edgekd.report import result

    if (other is None) != (output is None):
        raise click.UsageError("two runs side by side need both: a second run, and -o FILE")
    found = result.read(run_dir)
    if other is not None and output is not None:
        write_pair(run_dir, other, output)
    if opens:
        open_page(run_dir / HTML if output is None else output)
        return
    if output is not None:
        echo(str(output))
        return
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    page = _page(run_dir)
    # a board has no rich, which comes with [report] and [learn]
    if not sys.stdout.isatty() or importlib.util.find_spec("rich") is None:
        echo(page, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(page))


def write_pair(first: Path, second: Path, output: Path) -> None:
    """Write the page of two runs side by side.

    Raises:
        InputError: if one of them is no finished run.
        MachineError: if Jinja2 is missing or the disk refuses.
    """
    from edgekd import files
    from edgekd.errors import MachineError
    from edgekd.report import result

    if importlib.util.find_spec("jinja2") is None:
        raise MachineError("Jinja2 is not installed", hint="pip install 'edgekd[report]'")
    from edgekd.report.html.pair import pair_page

    pair = [result.read(folder) for folder in (first, second)]
    page = pair_page(pair[0], pair[1], (str(first), str(second)))
    files.write_output(output, page.encode())


def open_page(path: Path) -> None:
    """Print the path of a page and show it in the user's browser, if there is one.

    Raises:
        InputError: if there is no such file.
    """
    import webbrowser

    from edgekd.errors import InputError

    if not path.is_file():
        raise InputError(
            f"{path.parent}: got no {path.name}, want the folder of a run that wrote one",
            hint="run its recipe again: what did not change is not run again",
        )
    echo(str(path))
    if not webbrowser.open(path.resolve().as_uri()):
        echo("no browser could be opened: open that file in yours", err=True)


def _page(run_dir: Path) -> str:
    """The text of report.md.

    Raises:
        InputError: if it is missing or no text.
    """
    from edgekd import files
    from edgekd.errors import InputError

    path = run_dir / "report.md"
    with files.open_regular(path) as file:
        data: bytes = file.read(2**24)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: got no UTF-8 text") from error
