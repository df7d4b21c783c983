"""``edgekd report``: what a finished run found."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import click

from edgekd.cli.screen import echo
from edgekd.cli.screen import print_json

HTML = "report.html"


@click.command(
    epilog="Examples: edgekd report runs/quickstart; edgekd report runs/quickstart --open"
)
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print result.json instead of the page.")
@click.option("--open", "opens", is_flag=True, help="Open report.html and print its path.")
def command(run_dir: Path, as_json: bool, opens: bool) -> None:
    """Print the report of the finished run in RUN_DIR."""
    from edgekd.report import result

    found = result.read(run_dir)
    if opens:
        open_page(run_dir / HTML)
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
    webbrowser.open(path.resolve().as_uri())


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
