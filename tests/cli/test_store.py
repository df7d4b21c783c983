from __future__ import annotations

import itertools
import json
import types
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from click.testing import Result

from edgekd import cli
from edgekd import run_folder
from edgekd import strict_json
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.store import CreationTime
from edgekd.store import Store
from edgekd.store import StoreEntry
from edgekd.store import compute_key

MADE = CreationTime("2026-01-02T03:04:05Z", 1.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


def run(store: Store, *arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["store", *arguments, "--store", str(store.root)])


def inputs_of(letter: str, **more: Any) -> dict[str, Any]:
    """Inputs whose key begins with that letter."""
    numbered = ({"stage": "s", "given": {}, **more, "number": n} for n in itertools.count())
    return next(inputs for inputs in numbered if compute_key(inputs)[0] == letter)


def committed(store: Store, letter: str, text: str, **more: Any) -> StoreEntry:
    path = store.root.parent / "file"
    path.write_text(text)
    return store.commit(inputs_of(letter, **more), {"out": path}, MADE)


def test_ls(store: Store) -> None:
    one = committed(store, "a", "xyz", stage="data")
    other = committed(store, "b", "x", stage="train")
    assert run(store, "ls").stdout.splitlines() == [
        f"{one.key[:12]}  data        3 B  out",
        f"{other.key[:12]}  train       1 B  out",
    ]
    (first, _) = json.loads(run(store, "ls", "--json").stdout)
    assert first["key"] == one.key and first["files"]["out"]["size_bytes"] == 3


def test_verify_tells_what_is_changed_and_changes_nothing(store: Store) -> None:
    entry = committed(store, "a", "xyz")
    assert run(store, "verify").stdout == "all results verify\n"
    blob = store.blob_path(entry.files["out"].sha256)
    blob.chmod(0o600)
    blob.write_text("xyy")
    done = run(store, "verify")
    assert isinstance(done.exception, BudgetMissed)
    assert done.stdout == f"{entry.key[:12]} out: its blob is missing or changed\n"
    assert len(json.loads(run(store, "verify", "--json").stdout)["faults"]) == 1
    assert blob.read_text() == "xyy"


def test_why(store: Store) -> None:
    one = committed(store, "a", "x", settings={"train": {"epochs": 3}}, seed=1)
    other = committed(store, "b", "y", settings={"train": {"epochs": 4}}, seed=1)
    start = one.key[:4]
    numbers = f"{one.inputs['number']:<4}  {other.inputs['number']}"
    assert run(store, "why", start, "b").stdout.splitlines() == [
        f"what                   {start}  b",
        f"number                 {numbers}",
        "settings.train.epochs  3     4",
    ]
    assert run(store, "why", "a", "a").stdout == "nothing differs\n"
    for start in ("c", ""):
        assert isinstance(run(store, "why", "a", start).exception, InputError)


def test_differences() -> None:
    first = {"a": [1, {"b": 2}], "c": None, "d": [1]}
    second = {"a": [1, {"b": 3}], "e": 1, "d": [1, 2]}
    assert list(strict_json.find_differences(first, second)) == [
        ("a.1.b", 2, 3),
        ("d.1", None, 2),
        ("e", None, 1),
    ]


def finished(store: Store, run_dir: Path) -> None:
    """A run of a and b, its report d and bundle e; c is of another run and has b's bytes."""
    a, b = committed(store, "a", "1"), committed(store, "b", "2")
    committed(store, "c", "2")
    lineage = [{"key": e.key, "files": {"out": e.files["out"].sha256}} for e in (a, b)]
    texts = {"result.json": json.dumps({"lineage": lineage}), "bundle/manifest.json": "manifest"}
    (run_dir / "bundle").mkdir(parents=True)
    for key, (name, text) in zip("de", texts.items(), strict=True):
        committed(store, key, text)
        (run_dir / name).write_text(text)


def test_gc_keeps_what_a_run_stands_on(store: Store, tmp_path: Path) -> None:
    finished(store, tmp_path / "run")
    (gone,) = (entry for entry in store.entries() if entry.key[0] == "c")
    size_bytes = (store.root / "ac" / f"{gone.key}.json").stat().st_size
    done = run(store, "gc", "--keep", str(tmp_path / "run"), "--yes", "--json")
    assert json.loads(done.stdout) == {
        "results": 1,
        "files": 0,
        "checkpoints": 0,
        "quarantined": 0,
        "freed_bytes": size_bytes,
    }
    assert {entry.key[0] for entry in store.entries()} == {"a", "b", "d", "e"}
    assert store.verify() == []


def test_gc_keeps_a_run_that_chose_nothing_and_one_that_was_interrupted(
    store: Store, tmp_path: Path
) -> None:
    finished(store, tmp_path / "run")
    tried, reported = committed(store, "0", "tried"), tmp_path / "run" / "nothing-chosen"
    reported.mkdir()
    text = json.dumps({"lineage": [{"key": tried.key}]})
    committed(store, "1", text)
    (reported / "result.json").write_text(text)
    begun, unfinished = committed(store, "2", "begun"), "f" * 64
    with run_folder.hold_run_folder(tmp_path / "run", wait=False) as folder:
        folder.begin(begun.key)
        folder.begin(unfinished)
    for key in (unfinished, "e" * 64):
        (store.work_folder(key) / "checkpoint").write_text("x")
    run(store, "gc", "--keep", str(tmp_path / "run"), "--yes")
    assert {entry.key[0] for entry in store.entries()} == {*"abde012"}
    assert [path.name for path in (store.root / "work").iterdir()] == [unfinished]


def test_gc_keeps_what_a_run_has_begun_that_never_ended(store: Store, tmp_path: Path) -> None:
    begun = committed(store, "2", "begun")
    committed(store, "3", "other")
    with run_folder.hold_run_folder(tmp_path / "run", wait=False) as folder:
        folder.begin(begun.key)
    run(store, "gc", "--keep", str(tmp_path / "run"), "--yes")
    assert [entry.key for entry in store.entries()] == [begun.key]
    with run_folder.hold_run_folder(tmp_path / "run", wait=False) as folder:
        folder.end()
    done = run(store, "gc", "--keep", str(tmp_path / "run"), "--yes")
    assert isinstance(done.exception, InputError) and len(list(store.entries())) == 1


@pytest.mark.parametrize(
    "name", ["result.json", "nothing-chosen/result.json", run_folder.UNFINISHED]
)
@pytest.mark.parametrize("content", ["[", " " * 2**24 + "[]"])
def test_gc_removes_nothing_where_a_run_cannot_be_read_whole(
    store: Store, tmp_path: Path, name: str, content: str
) -> None:
    finished(store, tmp_path / "run")
    (tmp_path / "run" / "nothing-chosen").mkdir()
    (tmp_path / "run" / name).write_text(content)
    done = run(store, "gc", "--keep", str(tmp_path / "run"), "--yes")
    assert isinstance(done.exception, InputError) and name in str(done.exception)
    assert len(list(store.entries())) == 5


def test_gc_all(store: Store, tmp_path: Path) -> None:
    finished(store, tmp_path / "run")
    assert "5 results, 4 files of results: " in run(store, "gc", "--all", "--yes").stdout
    assert list(store.entries()) == []


@pytest.mark.parametrize(
    "arguments", [["gc"], ["gc", "--all"], ["gc", "--all", "--keep", "x", "--yes"]]
)
def test_gc_removes_nothing_unasked(store: Store, arguments: list[str]) -> None:
    committed(store, "a", "1")
    assert isinstance(run(store, *arguments).exception, InputError)
    assert len(list(store.entries())) == 1


def test_gc_does_not_keep_what_it_cannot_read(store: Store, tmp_path: Path) -> None:
    committed(store, "a", "1")
    done = run(store, "gc", "--keep", str(tmp_path / "nothing"), "--yes")
    assert isinstance(done.exception, InputError) and len(list(store.entries())) == 1


def test_gc_leaves_a_store_in_use_alone(store: Store) -> None:
    committed(store, "a", "1")
    with store.lock("store", shared=True):
        done = run(store, "gc", "--all", "--yes")
    assert isinstance(done.exception, MachineError) and len(list(store.entries())) == 1


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert isinstance(run(Store(tmp_path / "no"), "ls").exception, InputError)
    assert not (tmp_path / "no").exists()


def test_gc_asks_by_name_and_number(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(store, "a", "1" * 5000)
    (store.work_folder("b" * 64) / "checkpoint").write_bytes(b"2" * 3_000_000)
    (store.root / "quarantine" / ("c" * 64)).write_text("x")
    asked: list[str] = []

    def confirm(question: str, abort: bool) -> None:
        asked.append(question)
        raise click.Abort

    monkeypatch.setattr(click, "confirm", confirm)
    monkeypatch.setattr("edgekd.cli.store.sys", types.SimpleNamespace(stdin=Terminal()))
    run(store, "gc", "--all")
    assert asked == [
        "Remove 1 result, 1 file of results, 1 interrupted step with its checkpoints, "
        f"1 quarantined file: 3.01 MB from {store.root}?"
    ]
    assert len(list(store.entries())) == 1


class Terminal:
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("verb", [["ls"], ["verify"], ["why", "a", "b"], ["gc", "--all", "--yes"]])
def test_a_folder_that_is_no_store_is_left_alone(tmp_path: Path, verb: list[str]) -> None:
    for name in ("cas", "work", "ac"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("mine")
    done = run(Store(tmp_path), *verb)
    assert isinstance(done.exception, InputError) and "want a store" in str(done.exception)
    assert len(list(tmp_path.rglob("*"))) == 6
