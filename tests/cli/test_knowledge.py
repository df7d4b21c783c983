"""Stored answers are listed, taken out of the store, and checked where they lie."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from click.testing import Result

from edgekd import cli
from edgekd import files
from edgekd import knowledge
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.knowledge.importing import import_shards
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.learn.method.scheme import TensorBatch
from edgekd.store import CreationTime
from edgekd.store import Store
from tests.knowledge_example import Teacher
from tests.knowledge_example import fill
from tests.knowledge_example import require_untouched

MADE = CreationTime("2026-01-02T03:04:05Z", 1.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One result of another stage, one array, one store in shards."""
    store, array = Store(tmp_path / "store").open(), tmp_path / "knowledge.npy"
    np.save(array, np.zeros((2, 3, 4), np.float32))
    store.commit({"stage": "data"}, {"train": array}, MADE)
    store.commit({"stage": "knowledge", "n": 1}, {"knowledge.npy": array}, MADE)
    made = fill(tmp_path / "work", Teacher(), KnowledgeSettings(encoding="int8", top_k=2))
    store.commit({"stage": "knowledge", "n": 2}, made, MADE)
    return store


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(cli.main, ["knowledge", *map(str, arguments)])


def rows(store: Store) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("ls", "--json", "--store", store.root).stdout)
    return found


def test_ls_says_how_many_answers_and_how_they_are_stored(store: Store) -> None:
    array, shards = rows(store)
    assert (array["encoding"], array["answers"]) == ("fp32", None)
    assert (shards["encoding"], shards["answers"]) == ("int8, top 2", 33)
    assert shards["kl_nats"] > 0
    lines = run("ls", "--store", store.root).stdout.splitlines()
    assert "one array" in lines[0] and "33 answers  int8, top 2" in lines[1]


def test_what_is_exported_verifies_and_is_read_and_what_is_changed_is_named(
    store: Store, tmp_path: Path
) -> None:
    folder, key = tmp_path / "out", rows(store)[1]["key"]
    exported = run("export", key[:12], folder, "--store", store.root)
    assert exported.stdout == f"{folder}: knowledge.json and 3 shards\n"
    assert run("verify", folder).stdout == "all 3 shards verify\n"
    batch = TensorBatch(np.arange(4), 2, (torch.zeros(4, 1),), {})
    assert knowledge.read_folder(folder)(batch).shape == (4, 5)
    shard = folder / "shard-00001.rows"
    shard.write_bytes(bytes(shard.stat().st_size))
    failed = run("verify", folder)
    assert isinstance(failed.exception, BudgetMissed)
    assert failed.stdout == "shard-00001.rows: is missing or changed\n"
    with pytest.raises(InputError, match="shard-00001.rows: got other bytes"):
        knowledge.read_folder(folder)


def test_a_store_and_a_folder_without_write_bits_are_listed_exported_and_verified(
    store: Store, tmp_path: Path
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    with require_untouched(store.root):
        key = rows(store)[1]["key"]
        assert run("export", key, one, "--store", store.root).exit_code == 0
        with pytest.raises(MachineError, match="cannot be written") as refused:
            store.open()
        assert "--from" in refused.value.hint
    with require_untouched(one):
        assert run("verify", one).exit_code == 0
        batch = TensorBatch(np.arange(4), 2, (torch.zeros(4, 1),), {})
        assert knowledge.read_folder(one)(batch).shape == (4, 5)
        import_shards(one, files.make_folder(other))
    # what was taken out of a store without write bits is the taker's own to write
    assert all(path.stat().st_mode & 0o200 for path in (*one.iterdir(), *other.iterdir()))


@pytest.mark.parametrize("what", ["unknown", "several", "exists", "changed"])
def test_nothing_is_exported_that_is_not_right(store: Store, tmp_path: Path, what: str) -> None:
    key, folder = rows(store)[1]["key"], tmp_path / "out"
    if what == "exists":
        folder.mkdir()
    if what == "changed":
        for blob in store.root.glob("cas/*/*"):
            blob.write_bytes(b"")
        assert rows(store)[1]["encoding"] == "missing or changed"
    name = {"unknown": "0" * 64, "several": ""}.get(what, key)
    message = {"several": "got 2", "unknown": "got 0", "exists": "exists", "changed": "changed"}
    failed = run("export", name, folder, "--store", store.root)
    assert isinstance(failed.exception, InputError) and message[what] in str(failed.exception)
    assert what == "exists" or not folder.exists()


def test_answers_in_the_store_verify_by_their_key_and_what_is_changed_is_named(
    store: Store,
) -> None:
    array, shards = rows(store)
    for row, told in ((array, "all 1 shard verify\n"), (shards, "all 3 shards verify\n")):
        assert run("verify", row["key"][:12], "--store", store.root).stdout == told
    entry = next(each for each in store.entries() if each.key == shards["key"])
    path = store.blob_path(entry.files["shard-00001.rows"].sha256)
    was = path.stat()
    path.chmod(0o600)
    path.write_bytes(bytes(was.st_size))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))  # as a disk does it
    failed = run("verify", shards["key"], "--store", store.root)
    assert isinstance(failed.exception, BudgetMissed) and "build" in failed.exception.hint
    assert failed.stdout == "shard-00001.rows: is missing or changed\n"
    unknown = run("verify", "0" * 12, "--store", store.root)
    assert isinstance(unknown.exception, InputError) and "got 0" in str(unknown.exception)


def test_what_is_no_store_of_answers_is_refused(store: Store, tmp_path: Path) -> None:
    for folder in (store.root, tmp_path / "nowhere"):
        assert isinstance(run("verify", folder).exception, InputError)
