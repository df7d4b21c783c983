"""A manifest says where every answer lies; one that says what cannot be is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgekd.errors import InputError
from edgekd.learn.knowledge import layout
from edgekd.learn.knowledge.layout import KnowledgeManifest
from edgekd.learn.knowledge.layout import StoreLayout
from edgekd.learn.knowledge.layout import plan_layout
from edgekd.learn.knowledge.layout import read_manifest
from edgekd.learn.knowledge.layout import require_same_origin
from edgekd.learn.knowledge.rows import RowCode
from edgekd.learn.knowledge_settings import KnowledgeSettings

CODE = RowCode(KnowledgeSettings(), ((10,),))


def written(folder: Path, **changed: Any) -> Path:
    place = StoreLayout(CODE, 2, 5, 4)
    manifest = KnowledgeManifest(place, {"teacher": "t"}, {"rows": 4.0}, ("0" * 64,) * 4)
    path = folder / "knowledge.json"
    path.write_text(json.dumps(manifest.describe() | changed))
    return path


def test_every_sample_of_every_view_is_in_one_shard() -> None:
    place = StoreLayout(CODE, 2, 5, 4)
    assert [place.locate_shard(number) for number in range(place.shards)] == [
        (0, 0, 4),
        (0, 4, 5),
        (1, 0, 4),
        (1, 4, 5),
    ]
    assert place.size_bytes == 2 * 5 * 20


def test_no_shard_cuts_a_batch_or_is_larger_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SHARD_BYTES", 1000)
    assert plan_layout(CODE, 2, 500, 16).shard_rows == 48
    assert plan_layout(CODE, 2, 500, 64).shard_rows == 64
    assert plan_layout(CODE, 2, 30, 16).shard_rows == 30


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = read_manifest(written(tmp_path))
    assert found.layout == StoreLayout(CODE, 2, 5, 4) and found.origin == {"teacher": "t"}
    assert len(found.digests) == 4 and found.error == {"rows": 4.0}


@pytest.mark.parametrize(
    "changed",
    [
        {"format": "edgekd-knowledge/9"},
        {"encoding": {"encoding": "fp8"}},
        {"encoding": {"encoding": "fp16", "top_k": 3}, "shapes": [[10], [10]]},
        {"encoding": {"encoding": "fp16", "top_k": 3}, "shapes": [[10, 2]]},
        {"shapes": []},
        {"shapes": [[-1]]},
        {"shapes": [[2**30, 2**30]]},
        {"shapes": 3},
        {"shapes": [[10.0]]},
        {"views": True},
        {"views": 2**60},
        {"samples": 0},
        {"shard_rows": 1.5},
        {"shards": ["0" * 64]},
        {"shards": ["../../etc/passwd"] * 4},
        {"shards": [7] * 4},
        {"origin": [1]},
        {"error": None},
        {"error": {"rows": "many"}},
        {"error": {"rows": 10**400}},
        {"shapes": [[2**30]]},
        {"format": "edgekd-knowledge/2", "places": [1], "samples": 2**47, "shard_rows": 1},
    ],
    ids=lambda changed: str(changed)[:60],
)
def test_a_manifest_that_cannot_be_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="want a store of a teacher's answers"):
        read_manifest(written(tmp_path, **changed))


@pytest.mark.parametrize("text", ["[]", "{}", "null", "{", '{"format": 3}'])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "m").write_text(text)
    with pytest.raises(InputError):
        read_manifest(tmp_path / "m")


def test_answers_of_something_else_are_refused_by_name() -> None:
    origin = {"teacher": "a", "classes": ["cat", "dog"]}
    require_same_origin("x", origin, dict(origin))
    with pytest.raises(InputError, match="another classes .*another order: number 1"):
        require_same_origin("x", origin, {**origin, "classes": ["dog", "cat"]})
    with pytest.raises(InputError, match="another teacher .got null, want"):
        require_same_origin("x", {"classes": ["cat", "dog"]}, origin)
