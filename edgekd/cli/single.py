"""What the verbs of a single job share: each writes the recipe that does it, and runs that."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edgekd.cli import completions
from edgekd.cli.arguments import read_source
from edgekd.cli.screen import echo
from edgekd.cli.screen import get_volume

HEADER = "# Written by edgekd {verb}; edgekd compress {path} in the same folder does the same. Every key: edgekd schema\n"
DIGEST = "# SHA-256 of what follows: {}\n"
OF_A_RUN = "is of the run that stands beside it"
FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(path_type=Path)


WEIGHTS_OPTIONS = (
    click.option(
        "--weights", type=FILE, help="Trained weights of the model; an ONNX file has its own."
    ),
    click.option(
        "--task",
        shell_complete=completions.complete_task,
        metavar="NAME",
        help="What is asked of a sample, see edgekd tasks.  [default: one class, or with no labels the model's own answers]",
    ),
)
TARGET = click.option(
    "--target",
    "targets",
    multiple=True,
    default=("onnxruntime",),
    show_default=True,
    shell_complete=completions.complete_engine,
    metavar="ENGINE",
    help="Engine to compile for; may be repeated.",
)
DATA = click.option(
    "--data",
    required=True,
    shell_complete=completions.complete_source,
    metavar="SOURCE",
    callback=lambda context, option, value: read_source(value),
    help='Samples: digits, image-folder:DIR, npz:FILE, or "{name: image-folder, reference: DIR, size: 48}".',
)
MODEL_OPTIONS = (DATA, *WEIGHTS_OPTIONS, TARGET)
RECIPE_OPTIONS = (
    click.option("--name", help="Name of the recipe and its run.  [default: from verb and model]"),
    click.option(
        "--set",
        "overrides",
        multiple=True,
        shell_complete=completions.complete_key,
        metavar="KEY=VALUE",
        help="Override a key of the recipe; may be repeated.",
    ),
    click.option("--store", type=FOLDER, help="Folder of stored results.  [default: $EDGEKD_HOME]"),
    click.option("--dry-run", is_flag=True, help="Write the recipe, say what would run, and stop."),
    click.option("--allow-code", is_flag=True, help="Run your own code: python: names."),
    click.option(
        "--allow-download", is_flag=True, help="Download data and weights that are missing."
    ),
)
REPLACE = click.option(
    "--replace", is_flag=True, help="Replace a run with other settings that the folder holds."
)
RUN_OPTIONS = (
    click.option("-o", "--run-dir", type=FOLDER, help="Folder of the report and bundle.  [default: runs/NAME]"),
    REPLACE,
    *RECIPE_OPTIONS,
    click.option("--device", default="local", metavar="NAME", shell_complete=completions.complete_device, help="Device to measure on."),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
)  # fmt: skip
Command = Callable[..., Any]


def add_options(*groups: tuple[Callable[[Command], Command], ...]) -> Callable[[Command], Command]:
    """A decorator that gives a command the options of all groups, in their order."""
    return lambda command: functools.reduce(
        lambda made, option: option(made),
        reversed([each for group in groups for each in group]),
        command,
    )


def run_recipe(
    verb: str,
    recipe: dict[str, Any],
    *,
    name: str | None,
    run_dir: Path | None,
    overrides: tuple[str, ...],
    **options: Any,
) -> Path:
    """Write `recipe` beside its run folder, as ``FOLDER.yaml``, say where, and run it as ``edgekd compress`` does.

    The recipe of another run, or one that was changed by hand, stays: then the next of ``NAME-2``, ``NAME-3`` is taken,
    unless `run_dir` says which.

    Args:
        verb: who writes it.
        recipe: its content; files in it are relative to the working folder.
        name: replaces its name.
        run_dir: folder of the run; the first of ``runs/NAME``, ``runs/NAME-2`` that is free if None.
        overrides: ``KEY=VALUE``, which go into the recipe.
        options: of ``edgekd compress``.

    Returns:
        The run folder.

    Raises:
        InputError: if another file stands where the recipe goes, or it is no recipe.
    """
    from edgekd import files
    from edgekd.cli import compress
    from edgekd.recipe import text as recipe_text

    if name is not None:
        recipe = {**recipe, "name": name}
    recipe = recipe_text.override(recipe_text.from_value(recipe, verb), overrides).value
    replace = options.get("replace", False)
    folder, path, text = _find_place(verb, recipe, run_dir, replace=replace)
    files.write_output(path, text.encode())
    if not get_volume().quiet:
        echo(f"recipe: {path}", err=True)
    with _spell_out_hints():
        click.get_current_context().invoke(compress.command, recipe=path, run_dir=folder, **options)
    return folder


@contextlib.contextmanager
def _spell_out_hints() -> Iterator[None]:
    """While a recipe runs that a verb wrote: hints name the verb's options, not the recipe's keys.

    Raises:
        InputError: the same, with ``--data`` for ``data.source`` in its hint.
    """
    from edgekd.errors import InputError

    try:
        yield
    except InputError as error:
        key, colon, rest = error.hint.partition(": {")
        if key == "data.source" and colon:
            source, brace, told = rest.rpartition("}")
            error.hint = f"--data '{{{source}{brace}'{told}"
        raise


def _find_place(
    verb: str, recipe: dict[str, Any], run_dir: Path | None, *, replace: bool
) -> tuple[Path, Path, str]:
    """The run folder, where the recipe goes, and its text there."""
    from edgekd import run
    from edgekd.errors import InputError

    first = run_dir or run.default_run_dir(str(recipe.get("name")))
    for number in itertools.count(1):
        folder = first if number == 1 else first.with_name(f"{first.name}-{number}")
        path = folder.with_name(f"{folder.name}.yaml")
        text = _make_text(verb, _relocate(recipe, path.parent), path)
        obstacle = _find_obstacle(folder, path, text, verb)
        if not obstacle or (replace and obstacle == OF_A_RUN):
            return folder, path, text
        if run_dir is not None:
            also = ", or --replace" if obstacle == OF_A_RUN else ""
            raise InputError(
                f"{path}: exists already, and {obstacle}", hint=f"another --run-dir{also}"
            )
    raise AssertionError("unreachable: numbers do not end")


def _make_text(verb: str, recipe: dict[str, Any], path: Path) -> str:
    """The recipe as YAML, proven to be one."""
    import yaml

    from edgekd import files
    from edgekd import recipe as recipes
    from edgekd.recipe import text as recipe_text

    body: str = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=118)
    digest = DIGEST.format(files.digest_bytes(body.encode()))
    text = HEADER.format(verb=verb, path=path) + digest + body
    parsed = recipe_text.parse(text, ".yaml", verb)
    # no line of it has been written where the user could look it up
    recipes.validate(parsed._replace(places=dict.fromkeys(parsed.places, verb)))
    return text


def _relocate(recipe: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The recipe with files of weights and models named relative to `folder`, where it will lie."""
    from edgekd.learn.models import MODELS

    moved = dict(recipe)
    for who in ("teacher", "student"):
        if not isinstance(words := recipe.get(who), dict):
            continue
        changed = {}
        if isinstance(weights := words.get("weights"), str):
            changed["weights"] = os.path.relpath(weights, folder)
        name, _, file = str(words.get("model")).partition(":")
        if file and name in MODELS and MODELS[name].names == "file":
            changed["model"] = f"{name}:{os.path.relpath(file, folder)}"
        moved[who] = {**words, **changed}
    return moved


def _find_obstacle(folder: Path, path: Path, text: str, verb: str) -> str:
    """Say why `text` may not replace what stands at `path`, the recipe of the run in `folder`; empty if it may.

    Raises:
        InputError: if that cannot be read.
    """
    from edgekd import files
    from edgekd.errors import InputError
    from edgekd.report import result

    if not os.path.lexists(path):
        return ""
    try:
        found = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if found == text:
        return ""
    head, _, rest = found.partition("\n")
    said, _, body = rest.partition("\n")
    if not head.startswith(HEADER.split("{", maxsplit=1)[0] + verb):
        return f"edgekd {verb} did not write it"
    if f"{said}\n" != DIGEST.format(files.digest_bytes(body.encode())):
        return "was changed since it was written"
    return OF_A_RUN if (folder / result.FILE).exists() else ""
