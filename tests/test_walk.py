"""Walking a plan: hits, misses, kills, concurrent walkers; with toy stages that need no torch."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from edgekd.errors import MachineError
from edgekd.progress import Silent
from edgekd.run import Options
from edgekd.settings import Settings
from edgekd.stage import EVERY
from edgekd.stage import Bindings
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.stage import Step
from edgekd.stage import key_inputs
from edgekd.store import Store
from edgekd.walk import Walker
from edgekd.walk import foresee
from edgekd.walk import opened


class Toy(Settings):
    """How often the input is repeated."""

    times: int = 2


def double(config: Toy, given: Given, context: Context) -> Made:
    """Repeat the inputs in two files; counts its calls in a file named by the environment."""
    with open(os.environ["TOY_CALLS"], "a") as log:
        log.write("x")
    data = b"".join(given[name].read_bytes() for name in sorted(given)) + bytes([context.seed])
    made = {}
    for name in ("a", "b"):
        made[name] = context.folder / name
        made[name].write_bytes(data * config.times + name.encode())
    return made


HERE = Bindings("host", "device")
DOUBLE = Stage("double", Toy, double)


def plan(source: Path, times: int = 2) -> tuple[Step, ...]:
    return (
        Step("first", DOUBLE, Toy(), {}, 1, external={"source": source}),
        Step("second", DOUBLE, Toy(times=times), {"x": ("first", "a")}, 2),
        Step("third", DOUBLE, Toy(), {"all": ("second", EVERY), "y": ("first", "b")}, 3),
    )


def walk(root: Path, times: int = 2) -> Walker:
    options = Options(run_dir=root / "run", store=root / "store")
    with opened(options) as store:
        walker = Walker(store, options, Silent(), HERE)
        walker.walk(plan(root / "source", times))
    return walker


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "source").write_bytes(b"hello")
    monkeypatch.setenv("TOY_CALLS", str(tmp_path / "calls"))
    return tmp_path


def calls(root: Path) -> int:
    path = root / "calls"
    return len(path.read_text()) if path.exists() else 0


def snapshot(root: Path) -> dict[str, bytes]:
    store = root / "store"
    kept = [*store.glob("cas/*/*"), *store.glob("ac/*")]
    return {str(p.relative_to(store)): p.read_bytes() for p in kept}


def test_a_second_walk_finds_everything(root: Path) -> None:
    assert [w.hit for w in walk(root).walked] == [False] * 3
    before = snapshot(root)
    assert [w.hit for w in walk(root).walked] == [True] * 3
    assert calls(root) == 3
    assert snapshot(root) == before
    assert not list((root / "store" / "work").iterdir())


def test_only_what_depends_on_a_change_is_made_again(root: Path) -> None:
    walk(root)
    assert [w.hit for w in walk(root, times=3).walked] == [True, False, False]
    (root / "source").write_bytes(b"other")
    assert [w.hit for w in walk(root).walked] == [False] * 3


def test_what_measures_is_bound_to_its_device_and_the_rest_is_not(root: Path) -> None:
    there = Bindings("host", "board", {"numpy": "1.0"})
    for bound, changes in (("", False), ("host", False), ("device", True)):
        step = Step("x", DOUBLE._replace(bound=bound, packages=("numpy",)), Toy(), {})
        here, on_board = (key_inputs(step, {}, b, {}) for b in (HERE, there))
        assert (here != on_board) is changes, bound
    assert on_board["host"] == "board" and on_board["packages"] == {"numpy": "1.0"}


def test_foreseeing_writes_nothing(root: Path) -> None:
    store = Store(root / "store")
    assert [f.hit for f in foresee(plan(root / "source"), store, HERE)] == [False] * 3
    assert not store.root.exists()
    walk(root)
    assert [f.hit for f in foresee(plan(root / "source"), store, HERE)] == [True] * 3
    assert [f.key is None for f in foresee(plan(root / "source", 9), store, HERE)] == [
        False,
        False,
        True,
    ]


def test_an_input_that_changes_meanwhile_is_not_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def restless(config: Toy, given: Given, context: Context) -> Made:
        (root / "source").write_bytes(random.randbytes(8))
        return double(config, given, context)

    monkeypatch.setattr(f"{__name__}.DOUBLE", DOUBLE._replace(run=restless), raising=True)
    with pytest.raises(MachineError, match="changed while first"):
        walk(root)
    assert not list((root / "store" / "ac").iterdir())


WALK = "import sys; sys.path.insert(0, {folder!r}); import test_walk as t; t.walk(t.Path({root!r}))"


def child(root: Path, fault: str = "") -> subprocess.Popen[bytes]:
    code = WALK.format(folder=str(Path(__file__).parent), root=str(root))
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "EDGEKD_FAULT": fault})


def test_killed_at_every_durable_operation_it_ends_with_the_same_bytes(root: Path) -> None:
    log = root / "operations"
    assert child(root, f"log:{log}").wait() == 0
    want, operations = snapshot(root), len(log.read_text().splitlines())
    assert operations > 30
    for at in range(1, operations + 1):
        folder = root / f"kill-{at}"
        folder.mkdir()
        (folder / "source").write_bytes(b"hello")
        assert child(folder, f"kill@{at}").wait() == -9
        walk(folder)
        assert snapshot(folder) == want
        assert not list(folder.rglob(".tmp-*"))


def test_a_full_disk_loses_nothing(root: Path) -> None:
    for at in (1, 5, 9, 20, 31):
        folder = root / f"full-{at}"
        folder.mkdir()
        (folder / "source").write_bytes(b"hello")
        assert child(folder, f"enospc@{at}").wait() != 0
        walk(folder)
        assert len(list((folder / "store" / "ac").iterdir())) == 3


def test_walkers_on_one_store_make_each_result_once(root: Path) -> None:
    children = [child(root) for _ in range(4)]
    assert [c.wait() for c in children] == [0] * 4
    assert calls(root) == 3
    assert Store(root / "store").verify() == []


def test_the_manifest_says_what_it_was_made_from(root: Path) -> None:
    entry = walk(root).entries["second"]
    manifest = json.loads((root / "store" / "ac" / f"{entry.key}.json").read_bytes())
    assert manifest["inputs"]["settings"] == {"times": 2}
    assert manifest["inputs"]["stage"] == "double"


def test_a_result_committed_while_somebody_looks_is_not_taken_for_corrupt(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # between a walker's look at an empty store and what it does then, another commits
    peek, raced = Store.peek, []

    def slow(store: Store, key: str) -> object:
        found = peek(store, key)
        if not raced:
            raced.append(key)
            monkeypatch.setattr(Store, "peek", peek)
            walk(root)
        return found

    monkeypatch.setattr(Store, "peek", slow)
    assert [w.hit for w in walk(root).walked] == [True] * 3
    assert calls(root) == 3 and not list((root / "store" / "quarantine").iterdir())
