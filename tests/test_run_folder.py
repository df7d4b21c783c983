"""The run folder: what a run wrote there it may replace, what anybody else wrote stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekd import files
from edgekd import run_folder
from edgekd.errors import InputError
from edgekd.errors import MachineError


def source(folder: Path, text: str) -> Path:
    path = folder / f"source-{files.digest_bytes(text.encode())[:8]}"
    path.write_text(text)
    return path


def fill(folder: Path, report: str = "report", **bundle: str) -> None:
    """Put a report and, if any of its files is named, a bundle into ``folder/run``."""
    with run_folder.hold_run_folder(folder / "run", wait=False) as held:
        whole = {"bundle": {name: source(folder, text) for name, text in bundle.items()}}
        held.fill({"report.md": source(folder, report)}, whole if bundle else {})


def standing(folder: Path) -> dict[str, str]:
    run = folder / "run"
    paths = (path for path in run.rglob("*") if path.is_file() and ".edgekd" not in path.name)
    return {path.relative_to(run).as_posix(): path.read_text() for path in paths}


def test_a_run_replaces_what_runs_wrote(tmp_path: Path) -> None:
    fill(tmp_path, "one", a="1", b="2")
    assert standing(tmp_path) == {"report.md": "one", "bundle/a": "1", "bundle/b": "2"}
    fill(tmp_path, "two", a="3")
    assert standing(tmp_path) == {"report.md": "two", "bundle/a": "3"}
    fill(tmp_path, "two", a="3", b="4")
    fill(tmp_path, "two", a="3")
    assert standing(tmp_path) == {"report.md": "two", "bundle/a": "3"}


def test_what_is_the_same_is_not_touched(tmp_path: Path) -> None:
    fill(tmp_path, "one", a="1")

    def written() -> dict[Path, tuple[int, int]]:
        paths = [path for path in (tmp_path / "run").rglob("*") if "lock" not in path.name]
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}

    before = written()
    fill(tmp_path, "one", a="1")
    assert written() == before


@pytest.mark.parametrize("name", ["report.md", "bundle/mine.txt", "bundle", "report.md/x"])
def test_what_stood_there_before_stays(tmp_path: Path, name: str) -> None:
    path = tmp_path / "run" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(InputError, match="is not what a run of edgekd wrote") as caught:
        fill(tmp_path, "one", a="1")
    assert "--run-dir" in caught.value.hint
    assert standing(tmp_path) == {name: "mine"}


@pytest.mark.parametrize("name", ["report.md", "bundle/a", "bundle/new"])
def test_what_was_changed_since_stays(tmp_path: Path, name: str) -> None:
    fill(tmp_path, "one", a="1", b="2")
    (tmp_path / "run" / name).write_text("mine")
    before = standing(tmp_path)
    with pytest.raises(InputError, match=name):
        fill(tmp_path, "two", a="3")
    assert standing(tmp_path) == before


def test_a_link_is_not_a_run_s(tmp_path: Path) -> None:
    fill(tmp_path, "one")
    mine = tmp_path / "mine"
    mine.write_text("one")
    (tmp_path / "run" / "report.md").unlink()
    (tmp_path / "run" / "report.md").symlink_to(mine)
    with pytest.raises(InputError, match=r"report\.md"):
        fill(tmp_path, "two")
    assert mine.read_text() == "one"


@pytest.mark.parametrize("name", ["report.md", "plots/a.svg"])
def test_a_folder_where_a_file_goes_and_a_file_where_a_folder_goes_stay(
    tmp_path: Path, name: str
) -> None:
    with run_folder.hold_run_folder(tmp_path / "run", wait=False) as held:
        (held.root / name).mkdir(parents=True)
        with pytest.raises(InputError, match=f"{name}: is not what a run"):
            held.require_ours(name, folders=("bundle",))
        held.require_ours(folders=(name,))  # an empty folder is nobody's
        (held.root / "file").write_text("x")
        with pytest.raises(InputError, match="run/file: is not what a run"):
            held.require_ours("file/inside")


def test_what_a_run_has_begun_stands_there_until_it_ends(tmp_path: Path) -> None:
    for key in ("a", "b", "a"):
        with run_folder.hold_run_folder(tmp_path, wait=False) as held:
            held.begin(key)
    assert run_folder.unfinished_keys(tmp_path) == {"a", "b"}
    with run_folder.hold_run_folder(tmp_path, wait=False) as held:
        held.end()
    assert run_folder.unfinished_keys(tmp_path) == set()
    (tmp_path / run_folder.UNFINISHED).write_text("{}")
    with pytest.raises(InputError, match="unfinished"):
        run_folder.unfinished_keys(tmp_path)


def test_what_its_own_result_names_is_not_noted_again(tmp_path: Path) -> None:
    kept, new = "a" * 64, "b" * 64
    (tmp_path / "result.json").write_text(f'{{"lineage": {{"key": "{kept}"}}}}')
    with run_folder.hold_run_folder(tmp_path, wait=False) as held:
        held.begin(kept)
        assert not (tmp_path / run_folder.UNFINISHED).exists()
        held.begin(new)
    assert run_folder.unfinished_keys(tmp_path) == {new}


def test_other_files_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    fill(tmp_path, "one", a="1")
    assert standing(tmp_path)["notes.txt"] == "mine"


def test_two_runs_in_one_folder_exclude_each_other(tmp_path: Path) -> None:
    code = (
        "import pathlib, time\nfrom edgekd import run_folder\n"
        f"with run_folder.hold_run_folder(pathlib.Path({str(tmp_path)!r}), wait=True): print(flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()
    half = tmp_path / f".tmp-{'a' * 32}-edgekd"
    half.write_text("what the other is writing")
    with (
        pytest.raises(MachineError, match=f"used by another run .process {other.pid}") as caught,
        run_folder.hold_run_folder(tmp_path, wait=False),
    ):
        pass
    assert "--run-dir" in caught.value.hint and half.exists()
    other.kill()
    other.wait()
    other.stdout.close()
    with run_folder.hold_run_folder(tmp_path, wait=False):
        assert not half.exists()


def replan(folder: Path, report: str, *plots: str) -> None:
    """A run that draws `plots`, hands over a model and writes its recipe."""
    with run_folder.hold_run_folder(folder / "run", wait=False) as held:
        held.claim(report)
        wanted: dict[str, run_folder.Source] = {
            name: source(folder, f"{report} {name}") for name in plots
        }
        wanted |= {"report.md": source(folder, report), "recipe.yaml": report.encode()}
        held.fill(wanted, {"bundle": {"a": source(folder, report)}})
        held.end()


def of_run(report: str, *plots: str) -> dict[str, str]:
    """What stands after `replan`."""
    always = dict.fromkeys(("report.md", "recipe.yaml", "bundle/a"), report)
    return always | {name: f"{report} {name}" for name in plots}


def test_files_that_the_next_run_does_not_have_go(tmp_path: Path) -> None:
    replan(tmp_path, "one", "a.svg", "models/x.onnx")
    assert standing(tmp_path) == of_run("one", "a.svg", "models/x.onnx")
    (tmp_path / "run" / "models" / "mine").write_text("mine")
    replan(tmp_path, "two", "b.svg")
    assert standing(tmp_path) == of_run("two", "b.svg") | {"models/mine": "mine"}
    (tmp_path / "run" / "models" / "mine").unlink()
    replan(tmp_path, "three", "models/x.onnx")
    replan(tmp_path, "four")
    assert not (tmp_path / "run" / "models").exists()


def test_a_file_that_was_changed_since_does_not_go(tmp_path: Path) -> None:
    replan(tmp_path, "one", "a.svg", "b.svg")
    (tmp_path / "run" / "a.svg").write_text("mine")
    (tmp_path / "run" / "b.svg").unlink()
    (tmp_path / "run" / "b.svg").symlink_to(source(tmp_path, "one b.svg"))
    replan(tmp_path, "two")
    assert standing(tmp_path) == of_run("two") | {"a.svg": "mine", "b.svg": "one b.svg"}
    with pytest.raises(InputError, match=r"a\.svg"):  # it is nobody's but the user's now
        replan(tmp_path, "three", "a.svg")


def test_a_folder_inside_is_cleared_alone(tmp_path: Path) -> None:
    fill(tmp_path, "one", a="1")
    with run_folder.hold_run_folder(tmp_path / "run", wait=False) as held:
        held.fill({"x": b"1", "y": b"2"}, {}, inside="beside")
        held.fill({"x": b"3"}, {}, inside="beside")
    assert standing(tmp_path) == {"report.md": "one", "bundle/a": "1", "beside/x": "3"}


def test_a_claim_is_read_without_the_lock(tmp_path: Path) -> None:
    replan(tmp_path, "one")
    before = (tmp_path / "run" / run_folder.MARKER).stat().st_ino
    replan(tmp_path, "one")
    assert (tmp_path / "run" / run_folder.MARKER).stat().st_ino == before
    assert run_folder.read_marker(tmp_path / "run").running == "one"
    assert run_folder.read_marker(tmp_path) == run_folder.Marker({}, "")


REPLAN = (
    "import pathlib, sys; sys.path.insert(0, {tests!r}); import test_run_folder as t; "
    "t.replan(pathlib.Path({folder!r}), 'two', 'b.svg', 'models/y')"
)


def test_killed_at_any_operation_nothing_of_an_earlier_run_is_left_behind(tmp_path: Path) -> None:
    for at in range(1, 100):
        folder = tmp_path / str(at)
        folder.mkdir()
        replan(folder, "one", "a.svg", "models/x")
        (folder / "run" / "mine").write_text("mine")
        code = REPLAN.format(tests=str(Path(__file__).parent), folder=str(folder))
        child = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "EDGEKD_FAULT": f"kill@{at}"},
            check=False,
        )
        with run_folder.hold_run_folder(folder / "run", wait=False):
            found = standing(folder)
        assert found["mine"] == "mine" and found["bundle/a"] in ("one", "two")
        replan(folder, "three", "c.svg")
        assert standing(folder) == of_run("three", "c.svg") | {"mine": "mine"}
        assert not list(folder.rglob(".tmp-*"))
        if child.returncode == 0:
            break
    assert at > 25  # claim, marker, four files, a folder, two removals, marker


FILL = (
    "import pathlib, sys; sys.path.insert(0, {tests!r}); import test_run_folder as t; "
    "t.fill(pathlib.Path({folder!r}), 'two', a='3')"
)


@pytest.mark.parametrize("at", range(1, 14))
def test_killed_at_any_operation_a_run_knows_its_own_files_again(tmp_path: Path, at: int) -> None:
    fill(tmp_path, "one", a="1", b="2")
    code = FILL.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    child = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "EDGEKD_FAULT": f"kill@{at}"}, check=False
    )
    assert child.returncode in (-9, 0)
    with run_folder.hold_run_folder(tmp_path / "run", wait=False):
        bundle = {n: t for n, t in standing(tmp_path).items() if n.startswith("bundle/")}
        assert bundle in ({"bundle/a": "1", "bundle/b": "2"}, {"bundle/a": "3"})
    fill(tmp_path, "three", a="5")
    assert standing(tmp_path) == {"report.md": "three", "bundle/a": "5"}
    assert not list(tmp_path.rglob(".tmp-*"))


@pytest.mark.parametrize("marker", ["", "[]", "5", '{"format": "x", "files": {}}', '{"files": 5}'])
def test_a_marker_that_is_none_is_refused(tmp_path: Path, marker: str) -> None:
    fill(tmp_path, "one")
    (tmp_path / "run" / run_folder.MARKER).write_text(marker)
    with pytest.raises(InputError, match="edgekd-run"):
        fill(tmp_path, "two")
    assert standing(tmp_path)["report.md"] == "one"


def test_the_marker_lists_what_was_written(tmp_path: Path) -> None:
    fill(tmp_path, "nothing", a="0")
    fill(tmp_path, "one", a="1")
    value = json.loads((tmp_path / "run" / run_folder.MARKER).read_bytes())
    assert value["files"] == {
        "report.md": [files.digest_bytes(b"one")],
        "bundle/a": [files.digest_bytes(b"1")],
    }
