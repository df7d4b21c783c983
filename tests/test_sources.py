"""Which files a stage runs: what Python's own parser says, what the tables name, what an edit does."""

from __future__ import annotations

import ast
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekd import runtimes
from edgekd import sources
from edgekd.errors import MachineError
from edgekd.learn import companions
from edgekd.learn import data
from edgekd.learn import edits
from edgekd.learn import losses
from edgekd.learn import models
from edgekd.learn import schemes
from edgekd.learn import synthesis

STAGES = sorted(p.stem for p in (sources.PACKAGE / "stages").glob("*.py") if p.stem != "__init__")
FILES = sorted(path for path in sources._at_start() if path.endswith(".py"))
TABLES = (
    data.SOURCES,
    edits.EDITS,
    losses.LOSSES,
    models.MODELS,
    schemes.SCHEMES,
    synthesis.SYNTHESIZERS,
)


def file_of(dotted: str) -> str | None:
    """The file that Python would import `dotted` from."""
    stem = Path(*dotted.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if (sources.PACKAGE.parent / path).is_file() and path.parts[0] == "edgekd":
            return path.relative_to("edgekd").as_posix()
    return None


def paid_for(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from paid_for(child)


def imported(path: str) -> set[str]:
    """The package's files that `path` imports, by Python's parser."""
    names: list[str] = []
    for node in paid_for(ast.parse((sources.PACKAGE / path).read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None and not node.level, f"{path}: a relative import"
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return {found for name in names if (found := file_of(name)) is not None}


@pytest.mark.parametrize("path", FILES)
def test_all_that_python_s_parser_sees_imported_is_needed(path: str) -> None:
    if path not in sources.NOT_FOLLOWED:
        assert imported(path) <= sources._needs(path)


@pytest.mark.parametrize("path", FILES)
def test_no_module_s_name_is_put_together_from_pieces(path: str) -> None:
    """What is no whole string is not seen: a table writes its folder's name whole, once."""
    tree = ast.parse((sources.PACKAGE / path).read_bytes())
    pieces = [
        part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
    ]
    texts = [part.value for part in pieces if isinstance(part, ast.Constant)]
    assert not [
        text for text in texts if str(text).startswith("edgekd.") and file_of(str(text).rstrip("."))
    ]


def test_members_of_tables_are_reached() -> None:
    """Of all that a recipe may name, the module and what that imports."""
    reached = sources.reachable_files("edgekd.stages.check") | sources.reachable_files(
        "edgekd.stages.measure"
    )
    reached |= sources.reachable_files("edgekd.stages.data") | sources.reachable_files(
        "edgekd.stages.synthesize"
    )
    members = [member for table in TABLES for member in table.values()]
    members += [member.companion for member in members if member.companion is not None]
    modules = {member.module for member in members} | {e.module for e in runtimes.RUNTIMES.values()}
    for module in modules:
        path = file_of(module)
        assert path in reached, module
        assert imported(path) - set(sources.NOT_FOLLOWED) <= reached, module
    assert companions.__name__ and "bench/worker.py" in sources.reachable_files(
        "edgekd.stages.measure"
    )


def test_templates_count_where_their_folder_s_modules_do() -> None:
    assert "report/report.md.j2" in sources.reachable_files("edgekd.stages.report")
    assert "report/report.md.j2" not in sources.reachable_files("edgekd.stages.distil")


@pytest.mark.parametrize("stage", STAGES)
def test_what_no_stage_runs_counts_for_none(stage: str) -> None:
    reached = sources.reachable_files(f"edgekd.stages.{stage}")
    assert f"stages/{stage}.py" in reached and "__init__.py" in reached
    assert not [p for p in reached if p.startswith(("cli/", "plan/", "recipe/", "gating/"))]
    assert not {"store.py", "walk.py", "pipeline.py"} & reached


EDITED = """
import sys
from edgekd import sources
print(*(sources.digest_sources(f"edgekd.stages.{stage}") for stage in sys.argv[1:]), sep="\\n")
"""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder that holds the package as an installed one does, to be edited."""
    shutil.copytree(
        sources.PACKAGE, tmp_path / "edgekd", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


def run_there(copied: Path, code: str, *arguments: str, **more: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(copied), "PYTHONDONTWRITEBYTECODE": "1", **more},
        cwd=copied,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_an_edit_counts_for_the_stages_that_run_the_file_and_no_others(copied: Path) -> None:
    before = run_there(copied, EDITED, *STAGES).splitlines()
    for path in random.Random(0).sample(FILES, 12):
        whole = copied / "edgekd" / path
        text = whole.read_bytes()
        whole.write_bytes(text + b"\n# edited\n")
        after = run_there(copied, EDITED, *STAGES).splitlines()
        whole.write_bytes(text)
        changed = {s for s, a, b in zip(STAGES, before, after, strict=True) if a != b}
        assert changed == {
            s for s in STAGES if path in sources.reachable_files(f"edgekd.stages.{s}")
        }, path


TOY = """
import os, sys
from edgekd.settings import Settings
from edgekd.stage import Stage

def run(settings, given, context):
    from edgekd.units import percent_text
    path = context.folder / "a"
    path.write_text(percent_text(0.5))
    if edit := os.environ.get("TOY_EDITS"):
        with open(edit, "a") as file:
            file.write("\\n# edited while it ran\\n")
    return {"a": path}

STAGE = Stage("toy", Settings, run)
"""
WALK = """
import pathlib
from edgekd.progress import Silent
from edgekd.run import Options
from edgekd.settings import Settings
from edgekd.stage import Bindings, Step
from edgekd.stages import toy
from edgekd.walk import Walker, open_store
here = pathlib.Path.cwd()
options = Options(run_dir=here / "run", store=here / "store")
with open_store(options) as store:
    walker = Walker(store, options, Silent(), Bindings("", ""))
    try:
        walker.run_step(Step("toy", toy.STAGE, Settings(), {}))
    except Exception as error:
        print(type(error).__name__, error)
    else:
        print("found" if walker.walked[0].hit else "made", walker.path("toy", "a").read_text())
"""


def test_an_edited_helper_makes_the_step_run_again(copied: Path) -> None:
    (copied / "edgekd" / "stages" / "toy.py").write_text(TOY)
    assert run_there(copied, WALK) == "made 50.00 %\n"
    assert run_there(copied, WALK) == "found 50.00 %\n"
    other = copied / "edgekd" / "cli" / "screen.py"
    other.write_text(other.read_text() + "\n# edited\n")
    assert run_there(copied, WALK) == "found 50.00 %\n"
    units = copied / "edgekd" / "units.py"
    text = units.read_text()
    assert ":.2f} %" in text
    units.write_text(text.replace(":.2f} %", ":.1f} %"))
    assert run_there(copied, WALK) == "made 50.0 %\n"
    units.write_text(text)
    assert run_there(copied, WALK) == "found 50.00 %\n"


def test_what_was_made_while_the_code_changed_is_not_kept(copied: Path) -> None:
    (copied / "edgekd" / "stages" / "toy.py").write_text(TOY)
    edited = str(copied / "edgekd" / "units.py")
    said = run_there(copied, WALK, TOY_EDITS=edited)
    assert said.startswith("MachineError") and "units.py: changed while it was running" in said
    assert run_there(copied, WALK).startswith("made")
    apart = str(copied / "edgekd" / "cli" / "screen.py")
    (copied / "edgekd" / "units.py").write_text((sources.PACKAGE / "units.py").read_text())
    assert run_there(copied, WALK, TOY_EDITS=apart).startswith("made")


def test_a_changed_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    sources.require_unchanged("edgekd.stages.choose")
    read = sources._read()
    outside = min(set(read) - sources.reachable_files("edgekd.stages.choose"))
    monkeypatch.setattr(sources, "_read", lambda: {**read, "settings.py": b"", outside: b""})
    with pytest.raises(MachineError, match=r"settings\.py: changed"):
        sources.require_unchanged("edgekd.stages.choose")
    monkeypatch.setattr(sources, "_read", lambda: {**read, outside: b""})
    sources.require_unchanged("edgekd.stages.choose")
