"""Stores with a row for every token: texts of several lengths, killed fills, partners, imports, strangers' manifests."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.learn.knowledge import filling
from edgekd.learn.knowledge import layout
from edgekd.learn.knowledge.fidelity import compute_divergence
from edgekd.learn.knowledge.fidelity import find_cut_errors
from edgekd.learn.knowledge.filling import Partners
from edgekd.learn.knowledge.filling import Questions
from edgekd.learn.knowledge.importing import import_shards
from edgekd.learn.knowledge.layout import read_manifest
from edgekd.learn.knowledge.reading import KnowledgeReader
from edgekd.learn.knowledge.reading import find_broken_shards
from edgekd.learn.knowledge.reading import open_folder
from edgekd.learn.knowledge.rows import CutLogits
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.progress import Silent
from tests.knowledge_example import ORIGIN
from tests.knowledge_example import as_folder
from tests.knowledge_example import draw

CLASSES, TOP, SAMPLES = 30, 4, 11
LENGTHS = np.array([3, 1, 5, 2, 2, 4, 1, 1, 6, 3, 2])
DENSE = KnowledgeSettings(encoding="fp32")
CUT = KnowledgeSettings(encoding="int8", top_k=TOP, temperature=2.0)


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SHARD_BYTES", 6 * 4 * CLASSES * 4)
    monkeypatch.setattr(filling, "SAVE_EVERY_S", 0.0)


def logits(view: int, sample: int) -> np.ndarray:
    return draw(view, sample, (int(LENGTHS[sample]), CLASSES))


def cut(dense: np.ndarray, temperature: float = CUT.temperature) -> CutLogits:
    """In plain numpy."""
    indices = np.sort(np.argsort(-dense, axis=1, kind="stable")[:, :TOP], axis=1)
    others = dense.astype(np.float64).copy()
    np.put_along_axis(others, indices, -np.inf, axis=1)
    rest = temperature * np.logaddexp.reduce(others / temperature, axis=1)
    values = np.take_along_axis(dense, indices, axis=1)
    return CutLogits(indices, values, rest.astype(np.float32), CLASSES)


class Teacher:
    """Answers every token; can be made to fail at a call."""

    def __init__(self, settings: KnowledgeSettings, fails_at: int = -1) -> None:
        self.settings, self.fails_at, self.calls = settings, fails_at, 0

    def ask(self, view: int, batches: Sequence[np.ndarray]) -> Iterator[filling.Answer]:
        return (self.answer(view, indices) for indices in batches)

    def answer(self, view: int, indices: np.ndarray) -> filling.Answer:
        self.calls += 1
        if self.calls == self.fails_at:
            raise KeyboardInterrupt
        dense = np.concatenate([logits(view, int(index)) for index in indices])
        return cut(dense) if self.settings.top_k else (dense,)


def fill(
    folder: Path,
    teacher: Teacher,
    lengths: np.ndarray = LENGTHS,
    partners: Partners = filling.ALONE,
) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    questions = Questions(teacher.ask, 2, SAMPLES, 2, lengths=lengths)
    return filling.fill_store(questions, teacher.settings, ORIGIN, folder, Silent(), partners)


def contents(made: dict[str, Path]) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in made.items()}


def open_made(made: dict[str, Path]) -> KnowledgeReader:
    place = read_manifest(made["knowledge.json"]).layout
    shards = [made[layout.shard_name(number)] for number in range(place.shards)]
    return KnowledgeReader(place, shards)


def test_every_token_of_any_samples_is_read_back(tmp_path: Path) -> None:
    reader = open_made(fill(tmp_path / "dense", Teacher(DENSE)))
    assert reader.layout.shards_a_view > 1 and reader.layout.rows == 2 * LENGTHS.sum()
    for view, chosen in ((1, [8, 0, 1]), (0, [10]), (0, [2, 2, 9, 4])):
        found = reader.read_places(view, np.array(chosen))
        assert found.lengths.tolist() == LENGTHS[chosen].tolist()
        want = np.concatenate([logits(view, sample) for sample in chosen])
        assert isinstance(found.logits, np.ndarray) and found.logits.tobytes() == want.tobytes()
    with pytest.raises(IndexError):
        reader.read_places(0, np.array([SAMPLES]))
    with pytest.raises(IndexError):
        reader.read_places(2, np.array([0]))


def test_the_likeliest_tokens_are_read_back_and_the_rest_is_exact(tmp_path: Path) -> None:
    made = fill(tmp_path / "cut", Teacher(CUT))
    reader = open_made(made)
    found = reader.read_places(1, np.arange(SAMPLES)).logits
    dense = np.concatenate([logits(1, sample) for sample in range(SAMPLES)])
    want = cut(dense)
    assert isinstance(found, CutLogits)
    assert np.array_equal(found.indices, want.indices) and np.array_equal(found.rest, want.rest)
    assert 0 < np.abs(found.values - want.values).max() < 0.05
    bytes_a_token = reader.layout.row_bytes
    assert bytes_a_token == CUT.row_bytes(CLASSES) == TOP * 3 + 8
    size = sum(path.stat().st_size for name, path in made.items() if name.endswith("rows"))
    assert size == reader.layout.size_bytes == 2 * (LENGTHS.sum() * bytes_a_token + SAMPLES * 4)
    error = read_manifest(made["knowledge.json"]).error
    assert 0 < error["mean_divergence_nats"] < 1e-4 and 0 < error["mean_rest_probability"] < 1


@pytest.mark.parametrize("settings", [DENSE, CUT], ids=str)
def test_a_fill_that_ends_anywhere_goes_on_to_the_same_bytes(
    tmp_path: Path, settings: KnowledgeSettings
) -> None:
    whole = Teacher(settings)
    want = contents(fill(tmp_path / "whole", whole))
    for call in range(1, whole.calls + 1):
        folder = tmp_path / str(call)
        with pytest.raises(KeyboardInterrupt):
            fill(folder, Teacher(settings, fails_at=call))
        again = Teacher(settings)
        assert contents(fill(folder, again)) == want
        assert again.calls == whole.calls - max(0, min(call, whole.calls) - 2)


def test_partners_fill_one_store(tmp_path: Path) -> None:
    want = contents(fill(tmp_path / "alone", Teacher(CUT)))
    barrier = threading.Barrier(2, timeout=10)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(
            lambda rank: fill(
                tmp_path / "both", Teacher(CUT), partners=Partners(rank, 2, barrier.wait)
            ),
            range(2),
        )
    assert contents(first) == want and not second


def test_a_finished_store_is_taken_up_in_its_own_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = as_folder(fill(tmp_path / "made", Teacher(CUT)), tmp_path / "source")
    manifest, reader = open_folder(source)
    assert find_broken_shards(source, manifest) == []
    monkeypatch.setattr(layout, "SHARD_BYTES", 2**20)  # here they would be of another size
    (tmp_path / "here").mkdir()
    import_shards(source, tmp_path / "here")
    teacher = Teacher(CUT)
    made = fill(tmp_path / "here", teacher)
    assert contents(made) == {path.name: path.read_bytes() for path in source.iterdir()}
    assert teacher.calls == 2  # the plan, and the check

    (tmp_path / "other").mkdir()
    import_shards(source, tmp_path / "other")
    with pytest.raises(InputError, match="answers of another number of places"):
        fill(tmp_path / "other", Teacher(CUT), LENGTHS + 1)


def test_errors_of_other_classes_put_their_weight_with_the_rest() -> None:
    dense = draw(0, 0, (6, CLASSES))
    given = cut(dense, 1.0)
    assert find_cut_errors(given, given).divergence.max() == pytest.approx(0, abs=1e-9)
    moved = dense.copy()
    moved[:, 3] += 2.0
    found = find_cut_errors(given, cut(moved, 1.0)).divergence
    whole = compute_divergence(dense, moved)
    assert (found <= whole + 1e-6).all() and found.max() > 0


@pytest.mark.parametrize(
    "change",
    [
        {"places": []},
        {"places": [1]},
        {"places": "many"},
        {"shapes": [[CLASSES], [3]]},
        {"shapes": [[2, CLASSES]]},
        {"format": "edgekd-knowledge/3"},
    ],
    ids=str,
)
def test_a_manifest_that_says_what_cannot_be_is_refused(
    tmp_path: Path, change: dict[str, object]
) -> None:
    made = fill(tmp_path / "made", Teacher(CUT))
    path = made["knowledge.json"]
    said = json.loads(path.read_bytes())
    path.write_text(json.dumps(said | change))
    with pytest.raises(InputError, match="want a store of a teacher's answers"):
        read_manifest(path)


def test_a_shard_whose_lengths_are_not_its_rows_is_refused(tmp_path: Path) -> None:
    source = as_folder(fill(tmp_path / "made", Teacher(CUT)), tmp_path / "source")
    shard = source / layout.shard_name(0)
    data = bytearray(shard.read_bytes())
    data[0] += 1
    shard.write_bytes(data)
    manifest, reader = open_folder(source)
    with pytest.raises(InputError, match="one each at least"):
        reader.read_places(0, np.array([0]))
    assert find_broken_shards(source, manifest) == [shard.name]
    shutil.rmtree(source)
