"""``edgekd export``: the student of a run, or a trained model, for torch, as ONNX, or compiled for an engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import click

from edgekd.cli import completions
from edgekd.cli import options
from edgekd.cli import single
from edgekd.cli.arguments import read_model
from edgekd.cli.arguments import read_source
from edgekd.cli.screen import echo

if TYPE_CHECKING:
    from edgekd.report.result import Result
    from edgekd.report.result_row import Row

TORCH, ONNX = "torch", "onnx"
TORCH_ENDS = (".safetensors", ".json")


@click.command(
    epilog="Examples: edgekd export runs/quickstart --to onnx -o student.onnx; "
    "edgekd export runs/quickstart --to openvino -o engine/; "
    "edgekd export resnet8 --weights student.pt --data image-folder:photos --to onnx"
)
@click.argument("run", metavar="RUN|MODEL", shell_complete=completions.complete_run)
@click.option(
    "--to",
    "form",
    metavar="torch|onnx|ENGINE",
    shell_complete=completions.complete_export,
    required=True,
    help="What to write.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File to write, with a second one beside it for torch; a new folder for an engine.  "
    "[default: after the recipe's name, here]",
)
@click.option("--candidate", metavar="NAME", help="Row of the report.  [default: the chosen one]")
@options.replace
@options.timeout
@single.add_options(
    ((click.option("--data", shell_complete=completions.complete_source, metavar="SOURCE", callback=lambda context, option, value: read_source(value), help="Of a MODEL: samples on which the file is checked and measured."),)),
    single.WEIGHTS_OPTIONS,
    single.RECIPE_OPTIONS,
)  # fmt: skip
def command(
    run: str,
    form: str,
    output: Path | None,
    candidate: str | None,
    replace: bool,
    timeout_s: float,
    data: str | None,
    weights: Path | None,
    task: str | None,
    **recipe_options: Any,
) -> None:
    """Write the student of RUN, the folder of a finished run, or a trained MODEL.

    Of a MODEL, a name of `edgekd models` with its weights or an ONNX file, the recipe is written that exports and measures
    it as it is, and run first; its folder is runs/NAME.

    torch: weights as safetensors, and beside them a JSON file with the network they belong to; `edgekd.load` reads
    both. onnx: the file from which the candidate was compiled. The name of an engine: the files that it loads, built
    here anew, in the candidate's precision.
    """
    from edgekd import runtimes
    from edgekd.api.recipes import export_recipe
    from edgekd.report import result as results

    for path in _list_goals(form, output):
        options.require_new(path, replace=replace)
    folder = Path(run)
    if data is not None:
        targets = ("onnxruntime",) if form in (TORCH, ONNX) else (form,)
        recipe = export_recipe(
            read_model(run),
            data=data,
            targets=targets,
            weights=None if weights is None else str(weights),
            task=task,
        )
        folder = single.run_recipe("export", recipe, run_dir=None, as_json=False, **recipe_options)
        if recipe_options["dry_run"]:
            return
    found = results.read(folder)
    row = find_candidate(found, candidate)
    ends = {TORCH: ".safetensors", ONNX: ".onnx"}
    goal = output or Path(f"{found.recipe}{ends.get(form, f'-{form}')}")
    for path in _list_goals(form, goal):
        options.require_new(path, replace=replace)
    if form == TORCH:
        _write_torch(folder, found, row, goal)
    elif form == ONNX:
        _write_onnx(folder, found, row, goal)
    else:
        runtimes.find_entry(form)
        _write_engine(folder, found, row, form, goal, timeout_s)


def _list_goals(form: str, goal: Path | None) -> list[Path]:
    """The files that are written; none of an engine's folder, which has to be new or empty."""
    if goal is None or form not in (TORCH, ONNX):
        return []
    return [goal] if form == ONNX else [goal.with_suffix(end) for end in TORCH_ENDS]


def find_candidate(found: Result, name: str | None) -> Row | None:
    """Return the row of a candidate, or of the chosen one; None if nothing was chosen.

    Raises:
        InputError: if there is no candidate of that name.
    """
    from edgekd.errors import InputError
    from edgekd.errors import find_nearest

    rows = {row.name: row for row in found.candidates}
    if name is not None and name not in rows:
        hint = find_nearest(name, rows)
        raise InputError(f"--candidate: got unknown {name!r}, want one of the run's", hint=hint)
    return rows.get(name or found.chosen or "")


def _delivered(run: Path, found: Result, name: str) -> Path:
    """Return where a file that a run handed over lies, if it is as the run wrote it.

    Raises:
        InputError: if it is missing, or was changed.
    """
    from edgekd import files
    from edgekd.errors import InputError

    again = "run its recipe again: what did not change is not run again"
    if name not in {each.name for each in found.files}:
        raise InputError(f"{run}: got a run without {name}", hint=again)
    digest = files.digest_file(run / name)
    if not any(digest in step.files.values() for step in found.lineage.values()):
        raise InputError(f"{run / name}: has changed since the run wrote it", hint=again)
    return run / name


def _copy(source: Path, goal: Path) -> None:
    import shutil

    from edgekd import files
    from edgekd.units import bytes_text

    size_bytes = source.stat().st_size
    files.write_through(
        files.regular_output(goal),
        lambda temporary: shutil.copyfile(source, temporary),
        size_bytes=size_bytes,
    )
    echo(f"{goal}: {bytes_text(size_bytes)}")


def _write_torch(run: Path, found: Result, row: Row | None, goal: Path) -> None:
    from edgekd.bench.roles import STUDENT
    from edgekd.plan import deliverables

    stem = deliverables.QUANTIZED if row is not None and row.profile else STUDENT
    for end in TORCH_ENDS:
        _copy(_delivered(run, found, f"{stem}{end}"), goal.with_suffix(end))


def _exported(row: Row | None) -> str:
    """Name in the run folder of the ONNX file from which a row's engine was compiled."""
    from edgekd.bench.candidate import name_export
    from edgekd.bench.roles import STUDENT
    from edgekd.plan import deliverables

    name = STUDENT if row is None else name_export(row.model, row.profile)
    return f"{deliverables.MODELS}/{name}.onnx"


def _write_onnx(run: Path, found: Result, row: Row | None, goal: Path) -> None:
    _copy(_delivered(run, found, _exported(row)), goal)
    if row is None:
        return
    others = {_exported(each): each.name for each in reversed(found.candidates)}
    others.pop(_exported(row), None)
    form = row.precision if row.profile else "float"
    echo(f"candidate: {row.name}, {form}")
    for name in sorted(others.values()):
        echo(f"another:   --candidate {name}")


def _write_engine(
    run: Path, found: Result, row: Row | None, runtime: str, goal: Path, timeout_s: float
) -> None:
    """Compile the ONNX file of a row for an engine, in the row's precision if the row is of that engine."""
    import shutil
    import tempfile

    from edgekd import files
    from edgekd.bench.build import build_engine
    from edgekd.errors import InputError
    from edgekd.errors import MachineError
    from edgekd.profile import stored_precision
    from edgekd.units import bytes_text

    if goal.exists() and (not goal.is_dir() or any(goal.iterdir())):
        raise InputError(f"{goal}: exists already, want a new folder", hint="-o OTHER")
    model = _delivered(run, found, _exported(row))
    precision = stored_precision(row.precision) if row is not None and row.profile else "fp32"
    if row is not None and row.runtime == runtime:
        precision = row.precision
    with tempfile.TemporaryDirectory(prefix="edgekd-") as scratch:
        built = build_engine(model, runtime, precision, Path(scratch), timeout_s=timeout_s)
        if "files" not in built:
            raise MachineError(f"{runtime} {precision}: {built['not_measured']}")
        names = built["files"]

        def fill(folder: Path) -> None:
            for name in names:
                shutil.copyfile(Path(scratch) / name, folder / name)

        files.replace_folder(goal, fill)
    echo(f"{goal}: {', '.join(names)}, {precision}, {bytes_text(built['size_bytes'])}")
