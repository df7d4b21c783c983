"""A store behind a URL is fetched shard by shard; what its digest does not confirm is asked anew."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.knowledge import fetching
from edgekd.learn.knowledge import layout
from tests.knowledge_example import Teacher
from tests.knowledge_example import as_folder
from tests.knowledge_example import fill

pytest.importorskip("fsspec")


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(layout, "SHARD_BYTES", 180)  # two shards a view
    return as_folder(fill(tmp_path / "made", Teacher()), tmp_path / "exported")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_store_is_fetched_and_the_fill_asks_for_nothing_but_its_proof(
    exported: Path, tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    fetching.fetch_shards(f"file://{exported}", tmp_path / "work")
    teacher = Teacher()
    made = fill(tmp_path / "work", teacher)
    assert {name: path.read_bytes() for name, path in made.items()} == contents(exported)
    assert teacher.calls == 2  # the plan and one batch that proves the rest


def test_a_broken_or_missing_shard_is_asked_anew(exported: Path, tmp_path: Path) -> None:
    want = contents(exported)
    for name, change in {"shard-00000.rows": b"x", "shard-00001.rows": None}.items():
        path = exported / name
        path.write_bytes(path.read_bytes() + change) if change else path.unlink()
    flipped = exported / "shard-00002.rows"
    flipped.write_bytes(bytes([flipped.read_bytes()[0] ^ 1]) + flipped.read_bytes()[1:])
    (tmp_path / "work").mkdir()
    fetching.fetch_shards(f"file://{exported}/", tmp_path / "work")
    assert len(list((tmp_path / "work").glob("*.rows"))) == 3
    made = fill(tmp_path / "work", Teacher())
    assert {name: path.read_bytes() for name, path in made.items()} == want


def test_a_killed_fetch_goes_on_where_it_was(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    fetch, asked = fetching._fetch, []

    def die_at_third(*arguments: object) -> None:
        asked.append(arguments)
        if len(asked) == 3:
            raise KeyboardInterrupt
        fetch(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(fetching, "_fetch", die_at_third)
    with pytest.raises(KeyboardInterrupt):
        fetching.fetch_shards(f"file://{exported}", tmp_path / "work")
    assert not (tmp_path / "work" / "knowledge.json").exists()
    fetching.fetch_shards(f"file://{exported}", tmp_path / "work")
    assert len(asked) == 3 + 4 and len(list((tmp_path / "work").glob("*.rows"))) == 6


def test_what_is_no_store_or_cannot_be_read_is_said_in_one_line(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        fetching.fetch_manifest(f"file://{tmp_path}/nothing")
    (exported / "knowledge.json").write_text("{}")
    with pytest.raises(InputError, match="want a store of a teacher's answers"):
        fetching.fetch_manifest(f"file://{exported}")
    with pytest.raises(MachineError, match="nosuch://a/knowledge.json: cannot be read: ValueError"):
        fetching.fetch_manifest("nosuch://a")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MachineError, match="got no fsspec") as caught:
        fetching.fetch_manifest(f"file://{exported}")
    assert caught.value.hint == "pip install fsspec"


def test_only_what_leaves_the_machine_needs_the_network() -> None:
    assert fetching.is_url("s3://a/b") and not fetching.is_url("a/b")
    assert fetching.needs_network("s3://a/b") and not fetching.needs_network("file:///a")
