"""Walking a plan: hits, misses, kills, concurrent walkers; with toy stages that need no torch."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Collection
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
    blobs = {str(p.relative_to(store)): p.read_bytes() for p in store.glob("cas/*/*")}
    timeless = {e.key: repr(e._replace(made=None)).encode() for e in Store(store).entries()}
    return blobs | timeless


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

    def slow(store: Store, key: str, wanted: Collection[str]) -> object:
        found = peek(store, key, wanted)
        if not raced:
            raced.append(key)
            monkeypatch.setattr(Store, "peek", peek)
            walk(root)
        return found

    monkeypatch.setattr(Store, "peek", slow)
    assert [w.hit for w in walk(root).walked] == [True] * 3
    assert calls(root) == 3 and not list((root / "store" / "quarantine").iterdir())


def fact(text: str) -> dict[str, str]:
    return {"origin": text}


def walk_one(root: Path, step: Step, *after: Step) -> Walker:
    options = Options(run_dir=root / "run", store=root / "store")
    with opened(options) as store:
        walker = Walker(store, options, Silent(), HERE)
        walker.walk((step, *after))
    return walker


def test_an_origin_that_changes_meanwhile_is_not_kept(root: Path) -> None:
    def restless(config: Toy, given: Given, context: Context) -> Made:
        stands[0] = "after"
        return double(config, given, context)

    stands = ["before"]
    stage = DOUBLE._replace(run=restless)
    step = Step("first", stage, Toy(), {}, origin=lambda: fact(stands[0]))
    with pytest.raises(MachineError, match="first: its files changed"):
        walk_one(root, step)
    assert not list((root / "store" / "ac").iterdir())
    assert [w.hit for w in walk_one(root, step).walked] == [False]
    assert [w.hit for w in walk_one(root, step).walked] == [True]


def test_what_builds_a_model_is_watched_where_that_model_is_run(root: Path) -> None:
    """A stage that takes a blueprint runs the code that its maker's origin names."""

    def blueprint(config: Toy, given: Given, context: Context) -> Made:
        made = double(config, given, context)
        return {"blueprint.json": made["a"], "a": made["b"]}

    def restless(config: Toy, given: Given, context: Context) -> Made:
        stands[0] = changes_to
        return double(config, given, context)

    stands, changes_to = ["v1"], "v1"
    maker = Step(
        "model",
        DOUBLE._replace(run=blueprint),
        Toy(),
        {},
        external={"source": root / "source"},
        origin=lambda: fact(stands[0]),
    )
    user = Step(
        "export", DOUBLE._replace(run=restless), Toy(), {"blueprint": ("model", "blueprint.json")}
    )
    reader = Step("other", DOUBLE, Toy(times=3), {"x": ("model", "a")})
    assert [w.hit for w in walk_one(root, maker, user, reader).walked] == [False] * 3
    stands[0] = changes_to = "v2"  # other code, the same bytes
    assert [w.hit for w in walk_one(root, maker, user, reader).walked] == [False, False, True]
    stands[0], changes_to = "v3", "v4"
    with pytest.raises(MachineError, match="export: its files changed"):
        walk_one(root, maker, user)


def test_a_result_without_a_file_that_others_take_is_made_again(root: Path) -> None:
    whole = walk(root)
    entry = whole.entries["second"]
    poisoned = Store(root / "store").commit(
        entry.inputs, {"b": whole.path("second", "b")}, entry.made
    )
    assert poisoned.key == entry.key
    options = Options(run_dir=root / "run", store=root / "store")
    third = plan(root / "source")[2]._replace(takes={"x": ("second", "a")})
    foreseen = foresee((*plan(root / "source")[:2], third), Store(root / "store"), HERE)
    assert [f.hit for f in foreseen] == [True, False, False]
    with opened(options) as store:
        walker = Walker(store, options, Silent(), HERE)
        walker.walk((*plan(root / "source")[:2], third))
    assert [w.hit for w in walker.walked] == [True, False, False]
    assert set(walker.entries["second"].files) == {"a", "b"}
    assert (root / "store" / "quarantine" / f"{entry.key}.json").exists()


def test_a_file_that_is_missed_later_is_said_and_made_again_next_time(root: Path) -> None:
    whole = walk(root)
    entry = whole.entries["third"]
    Store(root / "store").commit(entry.inputs, {"b": whole.path("third", "b")}, entry.made)
    walker = walk(root)
    with pytest.raises(MachineError, match="third: its result in the store has no a") as caught:
        walker.path("third", "a")
    assert "made anew" in caught.value.hint
    late = Step("late", DOUBLE, Toy(), {"x": ("third", "a")})
    Store(root / "store").commit(entry.inputs, {"b": whole.path("third", "b")}, entry.made)
    with opened(walker.options):
        closing = Walker(walker.store, walker.options, Silent(), HERE)
        closing.walk(plan(root / "source"))
        with pytest.raises(MachineError, match="third: its result in the store has no a"):
            closing.walk((late,))
    assert [w.hit for w in walk(root).walked] == [True, True, False]
    assert walk_one(root, *plan(root / "source"), late).path("late", "a").exists()


def test_a_result_says_when_it_was_made_and_how_long_it_took(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(config: Toy, given: Given, context: Context) -> Made:
        clock[0] += 12.5
        return double(config, given, context)

    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((2026, 1, 2, 3, 4, 5, 0, 0, 0)))
    step = Step("first", DOUBLE._replace(run=slow), Toy(), {})
    made = walk_one(root, step).entries["first"].made
    assert made == ("2026-01-02T03:04:05Z", 12.5)
    clock[0] = 1e6
    assert walk_one(root, step).entries["first"].made == made


def test_a_run_s_own_sweep_waits_for_nobody_and_takes_nothing_of_others(root: Path) -> None:
    options = Options(run_dir=root / "run", store=root / "store")
    with opened(options) as store:
        half = store.root / "cas" / f".tmp-{'a' * 32}-edgekd"
        half.write_text("what the first run is writing")
        with opened(options):
            assert half.exists()
    with opened(options):
        assert not half.exists()


def test_two_steps_alike_but_for_their_seed_are_two(root: Path) -> None:
    one = Step("first", DOUBLE, Toy(), {}, 1)
    keys = {
        walk_one(root, step).entries["first"].key
        for step in (one, one._replace(seed=2), one._replace(settings=Toy(times=3)))
    }
    assert len(keys) == 3


def test_what_a_killed_run_left_half_made_is_gone_and_its_checkpoints_are_there(root: Path) -> None:
    def half(config: Toy, given: Given, context: Context) -> Made:
        (context.folder / "half").write_text("x")
        (context.checkpoints / "1").write_text("x")
        raise KeyboardInterrupt

    def whole(config: Toy, given: Given, context: Context) -> Made:
        assert list(context.folder.iterdir()) == []
        assert [path.name for path in context.checkpoints.iterdir()] == ["1"]
        return double(config, given, context)

    step = Step("first", DOUBLE._replace(run=half), Toy(), {})
    with pytest.raises(KeyboardInterrupt):
        walk_one(root, step)
    walk_one(root, step._replace(stage=DOUBLE._replace(run=whole)))
    assert not list((root / "store" / "work").iterdir())


class Heard(Silent):
    """Remembers what it was told of stages, and how many results the store had then."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.said: list[tuple[str, int]] = []

    def stage(self, label: str) -> None:
        self.said.append((label, len(list((self.root / "store" / "ac").iterdir()))))

    def end(self) -> None:
        self.stage("end")


def test_a_stage_is_said_to_have_ended_when_its_result_is_stored(root: Path) -> None:
    def broken(config: Toy, given: Given, context: Context) -> Made:
        raise ZeroDivisionError

    options, heard = Options(run_dir=root / "run", store=root / "store"), Heard(root)
    first, second, third = plan(root / "source")
    with opened(options) as store:
        walker = Walker(store, options, heard, HERE)
        with pytest.raises(ZeroDivisionError):
            walker.walk((first, second, third._replace(stage=DOUBLE._replace(run=broken))))
    assert heard.said == [("first", 0), ("end", 1), ("second", 1), ("end", 2), ("third", 2)]
