from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from click.testing import Result

from edgekd import cli
from edgekd.cli.store import differences
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.store import Entry
from edgekd.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


def run(store: Store, *arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["store", *arguments, "--store", str(store.root)])


def committed(store: Store, key: str, text: str, **inputs: Any) -> Entry:
    path = store.root.parent / "file"
    path.write_text(text)
    return store.commit(key * 64, {"stage": "s", "given": {}, **inputs}, {"out": path})


def test_ls(store: Store) -> None:
    committed(store, "a", "xyz", stage="data")
    committed(store, "b", "x", stage="train")
    assert run(store, "ls").stdout.splitlines() == [
        "aaaaaaaaaaaa  data             3 B  out",
        "bbbbbbbbbbbb  train            1 B  out",
    ]
    (first, _) = json.loads(run(store, "ls", "--json").stdout)
    assert first["key"] == "a" * 64 and first["files"]["out"]["size_bytes"] == 3


def test_verify_tells_what_is_changed_and_changes_nothing(store: Store) -> None:
    entry = committed(store, "a", "xyz")
    assert run(store, "verify").stdout == "all results verify\n"
    blob = store.blob_path(entry.files["out"].sha256)
    blob.chmod(0o600)
    blob.write_text("xyy")
    done = run(store, "verify")
    assert isinstance(done.exception, BudgetMissed)
    assert done.stdout == "aaaaaaaaaaaa out: its blob is missing or changed\n"
    assert len(json.loads(run(store, "verify", "--json").stdout)["faults"]) == 1
    assert blob.read_text() == "xyy"


def test_why(store: Store) -> None:
    committed(store, "a", "x", settings={"train": {"epochs": 3}}, seed=1)
    committed(store, "b", "y", settings={"train": {"epochs": 4}}, seed=1)
    assert run(store, "why", "aaaa", "b").stdout.splitlines() == [
        "what                   aaaa  b",
        "settings.train.epochs  3     4",
    ]
    assert run(store, "why", "a", "a").stdout == "nothing differs\n"
    for start in ("c", ""):
        assert isinstance(run(store, "why", "a", start).exception, InputError)


def test_differences() -> None:
    first = {"a": [1, {"b": 2}], "c": None, "d": [1]}
    second = {"a": [1, {"b": 3}], "e": 1, "d": [1, 2]}
    assert list(differences(first, second)) == [
        ("a.1.b", "2", "3"),
        ("d", "[1]", "[1, 2]"),
        ("e", "None", "1"),
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
    done = run(store, "gc", "--keep", str(tmp_path / "run"), "--yes", "--json")
    assert json.loads(done.stdout) == {"results": 1, "files": 0, "freed_bytes": 0}
    assert {entry.key[0] for entry in store.entries()} == {"a", "b", "d", "e"}
    assert store.verify() == []


def test_gc_all(store: Store, tmp_path: Path) -> None:
    finished(store, tmp_path / "run")
    assert "5 results, 4 files" in run(store, "gc", "--all", "--yes").stdout
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
