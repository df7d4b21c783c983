"""A fill that is killed anywhere goes on and ends in the same bytes; what is broken is asked anew."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.knowledge import filling
from edgekd.learn.knowledge import layout
from edgekd.learn.knowledge.filling import Partners
from edgekd.learn.knowledge.layout import read_manifest
from edgekd.learn.knowledge_settings import KnowledgeSettings
from tests.knowledge_example import ORIGIN
from tests.knowledge_example import Teacher
from tests.knowledge_example import fill

INT8 = KnowledgeSettings(encoding="int8", top_k=2, temperature=2.0)


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SHARD_BYTES", 180)  # eight rows of five fp32
    monkeypatch.setattr(filling, "SAVE_EVERY_S", 0.0)


def contents(made: dict[str, Path]) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in made.items()}


def test_a_store_says_what_it_is_of_and_how_far_it_is_off(tmp_path: Path) -> None:
    exact = read_manifest(fill(tmp_path / "exact", Teacher())["knowledge.json"])
    assert exact.origin == ORIGIN and exact.error["largest_difference"] == 0
    cut = read_manifest(fill(tmp_path / "cut", Teacher(), INT8)["knowledge.json"])
    assert cut.error["rows"] in (3, 4) and 0 < cut.error["mean_divergence_nats"] < 1


@pytest.mark.parametrize("settings", [KnowledgeSettings(encoding="fp32"), INT8], ids=str)
def test_a_fill_that_ends_anywhere_goes_on_to_the_same_bytes(
    tmp_path: Path, settings: KnowledgeSettings
) -> None:
    whole = Teacher()
    want = contents(fill(tmp_path / "whole", whole, settings))
    for call in range(1, whole.calls + 1):
        folder = tmp_path / str(call)
        with pytest.raises(KeyboardInterrupt):
            fill(folder, Teacher(fails_at=call), settings)
        again = Teacher()
        assert contents(fill(folder, again, settings)) == want
        # the plan and the check ask once each; what was answered is not asked again
        assert again.calls == whole.calls - max(0, min(call, whole.calls) - 2)
        assert len(list(folder.iterdir())) == len(want)


def fill_together(folder: Path, teachers: list[Teacher]) -> list[dict[str, Path]]:
    """What each rank makes, a thread a rank; one that fails takes the others with it."""
    barrier = threading.Barrier(len(teachers), timeout=10)

    def work(rank: int) -> dict[str, Path]:
        partners = Partners(rank, len(teachers), barrier.wait)
        try:
            return fill(folder, teachers[rank], partners=partners)
        except KeyboardInterrupt:
            barrier.abort()
            return {}
        except threading.BrokenBarrierError:
            return {}

    with ThreadPoolExecutor(len(teachers)) as pool:
        return list(pool.map(work, range(len(teachers))))


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_fill_one_store_without_gaps_and_overlaps(tmp_path: Path, ranks: int) -> None:
    alone = Teacher()
    want = contents(fill(tmp_path / "alone", alone))
    teachers = [Teacher() for _ in range(ranks)]
    first, *others = fill_together(tmp_path / "together", teachers)
    assert contents(first) == want and others == [{}] * (ranks - 1)
    assert len(list((tmp_path / "together").iterdir())) == len(want)
    # each plans with one question; what is left is asked once, by whom it falls to
    plans = ranks - 1
    assert sum(teacher.calls for teacher in teachers) == alone.calls + plans
    assert min(teacher.calls for teacher in teachers) > 1


@pytest.mark.parametrize("rank", [0, 1])
def test_ranks_of_which_one_is_killed_go_on_to_the_same_bytes(tmp_path: Path, rank: int) -> None:
    want = contents(fill(tmp_path / "alone", Teacher()))
    for call in range(1, 5):
        folder = tmp_path / f"killed-{call}"
        folder.mkdir()
        teachers = [Teacher(), Teacher()]
        teachers[rank] = Teacher(fails_at=call)
        assert fill_together(folder, teachers) == [{}, {}]
        first, _ = fill_together(folder, [Teacher(), Teacher()])
        assert contents(first) == want


def test_broken_and_strange_files_of_a_killed_fill_are_not_believed(tmp_path: Path) -> None:
    want = contents(fill(tmp_path / "whole", Teacher()))
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "work", Teacher(fails_at=8))
    kept = sorted((tmp_path / "work").glob("*.rows"))
    data = bytearray(kept[0].read_bytes())
    data[3] ^= 4
    kept[0].write_bytes(data)
    kept[1].write_bytes(kept[1].read_bytes()[:-1])
    (tmp_path / "work" / f"00002-{'0' * 64}.rows").write_bytes(b"x" * 80)
    shorter = kept[0].with_name(f"00002-{files.digest_bytes(bytes(80))}.rows")
    shorter.write_bytes(bytes(80))
    uneven = kept[0].with_name(f"00004-{files.digest_bytes(bytes(60))}.rows")
    uneven.write_bytes(bytes(60))  # no whole number of batches
    (tmp_path / "work" / ".tmp-00000000000000000000000000000000-edgekd").write_bytes(b"x")
    assert contents(fill(tmp_path / "work", Teacher())) == want
    assert len(list((tmp_path / "work").iterdir())) == len(want)


def test_stored_answers_that_the_teacher_does_not_give_any_more_are_dropped(tmp_path: Path) -> None:
    class Other(Teacher):
        def answer(self, view: int, indices: np.ndarray) -> tuple[np.ndarray, ...]:
            (given,) = super().answer(view, indices)
            return (given + 1,)

    fill(tmp_path, Teacher())
    with pytest.raises(MachineError, match="other answers"):
        fill(tmp_path, Other())
    assert not list(tmp_path.glob("*.rows"))
    fill(tmp_path, Other())


def test_a_full_disk_is_told_before_the_teacher_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, need = Teacher(), 3 * 11 * 20
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=need - 1))
    with pytest.raises(MachineError, match=r"got 659 B free, want 660 B for the teacher's answers"):
        fill(tmp_path, teacher)
    assert teacher.calls == 1


def test_answers_that_cannot_be_stored_are_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="top_k: got a teacher that gives \\[5\\], \\[2, 2\\]"):
        fill(tmp_path / "a", Teacher((5,), (2, 2)), INT8)

    class Growing(Teacher):
        def answer(self, view: int, indices: np.ndarray) -> tuple[np.ndarray, ...]:
            (given,) = super().answer(view, indices)
            return (given[:, : 5 - view],)

    with pytest.raises(InputError, match="cannot be stored: got outputs of shapes") as caught:
        fill(tmp_path / "b", Growing())
    assert caught.value.hint == "knowledge: online"
