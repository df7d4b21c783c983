"""The real Optuna on SQLite files; the settings cost nothing."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.sweep import space as spaces
from edgekd.sweep.study import SweepStudy
from edgekd.sweep.study import open_study
from tests import postgresql_example

GRID = ("a=1,2,3", "b=x,y")


STORAGE = "EDGEKD_TEST_STORAGE"
"""URL of a database in which the studies are kept instead of a file: ``postgresql+psycopg://me@host/name``."""


def opened(folder: Path, *texts: str, most: int = 99, limited: bool = False) -> SweepStudy:
    study = open_study(os.environ.get(STORAGE) or folder / "a file?%.sqlite3", str(folder))
    space = spaces.parse_space(texts or GRID)
    return SweepStudy(study, space, most=most, is_limited=limited, folder=folder / "locks")


def finish(
    study: SweepStudy, most: int = 999, excess: tuple[float, ...] = ()
) -> list[dict[str, str]]:
    """Carry settings out that are done at once."""
    done: list[dict[str, str]] = []
    while len(done) < most:
        with study.claim() as claimed:
            if claimed is None:
                break
            study.record(claimed, {"setting": claimed.setting}, (1.0, 2.0), excess)
            done.append(claimed.setting)
    return done


def key(setting: Any) -> tuple[Any, ...]:
    return tuple(sorted(setting.items()))


def test_a_grid_is_tried_whole_and_once_and_a_second_run_goes_on(tmp_path: Path) -> None:
    first = finish(opened(tmp_path), most=2)
    study = opened(tmp_path)
    assert study.is_grid and study.most == 6
    rest = finish(study)
    assert len({key(each) for each in first + rest}) == len(first + rest) == 6
    assert finish(opened(tmp_path)) == [] and len(study.outcomes()) == 6


def test_a_larger_space_is_searched_within_its_ends_and_by_the_same_settings(
    tmp_path: Path,
) -> None:
    texts = ("a=0.01..0.1:log", "b=2..9", "c=x,y")
    runs = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        study = opened(tmp_path / name, *texts, most=10, limited=True)
        assert not study.is_grid
        runs.append(finish(study, excess=(0.5,)))
    assert runs[0] == runs[1] and len({key(each) for each in runs[0]}) > 5
    for each in runs[0]:
        assert 0.01 <= float(each["a"]) <= 0.1 and 2 <= int(each["b"]) <= 9 and each["c"] in "xy"


def test_no_setting_is_tried_twice_and_a_small_space_ends(tmp_path: Path) -> None:
    study = opened(tmp_path, "a=1..3", most=9)
    assert sorted(each["a"] for each in finish(study)) == ["1", "2", "3"]
    (tmp_path / "b").mkdir()
    some = finish(opened(tmp_path / "b", most=4))
    assert len({key(each) for each in some}) == len(some) == 4


def test_the_search_goes_where_the_budget_is_kept(tmp_path: Path) -> None:
    study = opened(tmp_path, "a=0.0..1.0", most=26, limited=True)
    tried = []
    for _ in range(26):
        with study.claim() as claimed:
            assert claimed is not None
            a = float(claimed.setting["a"])
            tried.append(a)
            # score and latency grow with a: inside the budget up to 0.25
            study.record(claimed, {}, (a, a), (max(0.0, a - 0.25),))
    late = tried[12:]
    assert sum(a <= 0.3 for a in late) / len(late) > 0.6  # 0.3 by chance


def test_a_setting_that_was_interrupted_is_given_out_again(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), opened(tmp_path).claim() as claimed:
        assert claimed is not None
        first = claimed.setting
        raise KeyboardInterrupt
    study = opened(tmp_path)
    assert study.count_running() == 0
    assert first in finish(study) and len(study.outcomes()) == 6


def test_a_failure_is_told_counts_and_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    study = opened(tmp_path)
    with study.claim() as claimed:
        assert claimed is not None
        study.record_failure(claimed, "too wide")
        failed = claimed.setting
    assert len(finish(study)) == 5
    assert [(each.setting, each.error) for each in study.failures()] == [(failed, "too wide")]
    again = opened(tmp_path)
    assert finish(again) == [failed] and again.failures() == []


def test_the_recipe_itself_with_seeds_alone_is_one_setting(tmp_path: Path) -> None:
    assert finish(opened(tmp_path, "seed=0,1")) == [{}]


def work(folder: Path, results: Any) -> None:
    results.put(finish(opened(folder)))


def die(folder: Path) -> None:
    with opened(folder).claim():
        os._exit(9)


def test_processes_share_the_settings_and_take_over_those_of_a_dead_one(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    dead = fork.Process(target=die, args=(tmp_path,))
    dead.start()
    dead.join()
    assert dead.exitcode == 9
    results = fork.Queue()
    processes = [fork.Process(target=work, args=(tmp_path, results)) for _ in range(2)]
    for each in processes:
        each.start()
    with opened(tmp_path).claim() as held:  # a third is at work all the while
        found = [results.get(timeout=60) for _ in processes]
        assert held is None or opened(tmp_path).count_running() == 1
    for each in processes:
        each.join()
    every = [key(each) for part in found for each in part]
    assert len(every) == len(set(every)) >= 5
    finish(opened(tmp_path))
    assert len(opened(tmp_path).outcomes()) == 6


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite:////no/such/folder/x.db", "oracle://secret@h/x"]
)
def test_a_storage_that_cannot_be_opened_is_one_line_without_its_password(url: str) -> None:
    with pytest.raises(InputError, match="--storage: cannot be opened") as caught:
        open_study(url, "s")
    assert "secret" not in caught.value.line() and "\n" not in caught.value.line()


def test_without_optuna_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MachineError, match="optuna is not installed") as caught:
        open_study(tmp_path / "x.sqlite3", "s")
    assert "edgekd[sweep]" in caught.value.hint and not list(tmp_path.iterdir())


def test_a_study_in_postgresql_is_shared_taken_over_and_told_of_failures() -> None:
    """Three of the tests above once more, in a process of their own."""
    # Connections of processes that were forked or killed are closed by the collector.
    ignored = ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
    command = [sys.executable, "-m", "pytest", "-n0", "-p", "no:cacheprovider", __file__]
    command += [word for name in ignored for word in ("-W", f"ignore::{name}")]
    with postgresql_example.open_database() as url:
        done = subprocess.run(
            [*command, "-k", "processes or failure_is or interrupted"],
            env=os.environ | {STORAGE: url},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout[-2000:]
