"""What is read back is what the teacher gave, from any shard in any order; broken shards are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.learn.knowledge import layout
from edgekd.learn.knowledge.reading import find_broken_shards
from edgekd.learn.knowledge.reading import open_folder
from edgekd.learn.knowledge.reading import open_shards
from edgekd.learn.knowledge_settings import KnowledgeSettings
from tests.knowledge_example import Teacher
from tests.knowledge_example import as_folder
from tests.knowledge_example import draw
from tests.knowledge_example import fill


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(layout, "SHARD_BYTES", 200)
    return as_folder(fill(tmp_path / "work", Teacher((5,), (2, 2))), tmp_path / "store")


@pytest.mark.parametrize("indices", [[10, 0, 3, 4, 4, 7], [2, 1], []])
def test_any_samples_of_any_view_in_any_order(store: Path, indices: list[int]) -> None:
    _, reader = open_folder(store)
    assert reader.layout.shards_a_view == 3
    for view in (2, 0, 1, 0):
        found = reader.read(view, np.array(indices, np.int64))
        for output, shape in zip(found, [(5,), (2, 2)], strict=True):
            assert output.shape == (len(indices), *shape)
            for value, index in zip(output, indices, strict=True):
                assert value.tobytes() == draw(view, index, shape).tobytes()


def test_a_class_that_is_none_is_refused_not_taken_for_one_of_the_next_row(tmp_path: Path) -> None:
    cut = KnowledgeSettings(encoding="fp16", top_k=2)
    folder = as_folder(fill(tmp_path / "work", Teacher(), cut), tmp_path / "store")
    manifest = json.loads((folder / "knowledge.json").read_text())
    (folder / "knowledge.json").write_text(json.dumps({**manifest, "shapes": [[3]]}))
    _, reader = open_folder(folder)
    with pytest.raises(InputError, match=r"stored answers to view 0: got class [34], want 0 to 2"):
        reader.read(0, np.arange(10))


@pytest.mark.parametrize(("view", "index"), [(3, 0), (-1, 0), (0, 11), (0, -1)])
def test_what_is_not_there_is_an_error_not_another_answer(
    store: Path, view: int, index: int
) -> None:
    _, reader = open_folder(store)
    with pytest.raises(IndexError):
        reader.read(view, np.array([0, index]))


def test_one_shard_a_view_refuses_a_sample_from_behind_as_several_do(tmp_path: Path) -> None:
    _, reader = open_folder(as_folder(fill(tmp_path / "work", Teacher()), tmp_path / "store"))
    assert reader.layout.shards_a_view == 1
    for index in (-1, 11):
        with pytest.raises(IndexError):
            reader.read(0, np.array([index]))


def test_a_stage_s_inputs_are_opened_by_name(store: Path) -> None:
    given = {f"knowledge_2/{path.name}": path for path in store.iterdir()}
    found = open_shards(given, "knowledge_2")[1].read(1, np.array([6]))
    assert found[0][0].tobytes() == draw(1, 6, (5,)).tobytes()
    given.pop("knowledge_2/shard-00003.rows")
    with pytest.raises(InputError, match="shard-00003.rows: is missing"):
        open_shards(given, "knowledge_2")


def test_a_shard_of_another_size_is_refused_and_one_of_other_bytes_found(store: Path) -> None:
    manifest, _ = open_folder(store)
    assert find_broken_shards(store, manifest) == []
    shard = store / "shard-00001.rows"
    data = bytearray(shard.read_bytes())
    data[7] ^= 1
    shard.write_bytes(data)
    (store / "shard-00005.rows").unlink()
    assert find_broken_shards(store, manifest) == ["shard-00001.rows", "shard-00005.rows"]
    with pytest.raises(InputError, match="shard-00005"):
        open_folder(store)
    for size in (143, 145):
        shard.write_bytes(bytes(size))
        with pytest.raises(InputError, match=f"got {size} bytes, want 144 of a shard"):
            open_folder(store)
