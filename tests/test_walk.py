"""Walking a plan: hits, misses, what is refused; with toy stages that need no torch."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

import pytest

from edgekd import sources
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.progress import CallbackProgress
from edgekd.progress import Event
from edgekd.progress import Silent
from edgekd.progress import StepEnd
from edgekd.progress import StepStart
from edgekd.run import Options
from edgekd.stage import Bindings
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Step
from edgekd.stage import key_inputs
from edgekd.store import Store
from edgekd.walk import Walker
from edgekd.walk import forecast_steps
from edgekd.walk import open_store
from tests import walk_example
from tests.walk_example import DOUBLE
from tests.walk_example import HERE
from tests.walk_example import Toy
from tests.walk_example import calls
from tests.walk_example import double
from tests.walk_example import plan
from tests.walk_example import snapshot
from tests.walk_example import walk


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return walk_example.begun(tmp_path, monkeypatch)


def test_a_second_walk_finds_everything(root: Path) -> None:
    assert [w.hit for w in walk(root).walked] == [False] * 3
    before = snapshot(root)
    assert [w.hit for w in walk(root).walked] == [True] * 3
    assert calls(root) == 3
    assert snapshot(root) == before
    assert not list((root / "store" / "work").iterdir())


def test_each_step_tells_when_it_begins_and_what_it_made(root: Path) -> None:
    for hit in (False, True):
        events: list[Event] = []
        options = Options(run_dir=root / "run", store=root / "store")
        with open_store(options) as store:
            progress = CallbackProgress(Silent(), (events.append,))
            Walker(store, options, progress, HERE).walk(plan(root / "source"))
        labels = ["first", "second", "third"]
        assert [e.label for e in events[::2] if isinstance(e, StepStart)] == labels
        ends = [e for e in events[1::2] if isinstance(e, StepEnd)]
        assert [(e.label, e.stage, e.hit) for e in ends] == [(n, "double", hit) for n in labels]
        assert ends[0].files["a"].read_bytes() == (b"hello" + bytes([1])) * 2 + b"a"


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
    assert [f.hit for f in forecast_steps(plan(root / "source"), store, HERE)] == [False] * 3
    assert not store.root.exists()
    walk(root)
    assert [f.hit for f in forecast_steps(plan(root / "source"), store, HERE)] == [True] * 3
    assert [f.key is None for f in forecast_steps(plan(root / "source", 9), store, HERE)] == [
        False,
        False,
        True,
    ]


def test_an_input_that_changes_meanwhile_is_not_kept(root: Path) -> None:
    def restless(config: Toy, given: Given, context: Context) -> Made:
        (root / "source").write_bytes(random.randbytes(8))
        return double(config, given, context)

    with pytest.raises(MachineError, match="changed while first"):
        walk(root, stage=DOUBLE._replace(run=restless))
    assert not list((root / "store" / "ac").iterdir())


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
    with open_store(options) as store:
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
    foreseen = forecast_steps((*plan(root / "source")[:2], third), Store(root / "store"), HERE)
    assert [f.hit for f in foreseen] == [True, False, False]
    with open_store(options) as store:
        walker = Walker(store, options, Silent(), HERE)
        walker.walk((*plan(root / "source")[:2], third))
    assert [w.hit for w in walker.walked] == [True, False, False]
    assert set(walker.entries["second"].files) == {"a", "b"}
    assert (root / "store" / "quarantine" / f"{entry.key}.json").exists()


def test_what_is_left_of_a_result_is_there_when_it_is_made_again(root: Path) -> None:
    seen: list[dict[str, bytes]] = []

    def look(config: Toy, given: Given, context: Context) -> Made:
        seen.append({name: path.read_bytes() for name, path in context.remains.items()})
        return double(config, given, context)

    stage = DOUBLE._replace(run=look)
    first = walk(root, stage=stage)
    lost, left = first.path("third", "a"), first.path("third", "b").read_bytes()
    lost.write_bytes(b"x" * lost.stat().st_size)
    again = walk(root, stage=stage)
    assert seen == [{}, {}, {}, {"b": left}]
    assert again.entries["third"].files == first.entries["third"].files
    assert lost.read_bytes()[:5] == b"hello"


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
    with open_store(walker.options):
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
        clock[0] += 12.3456
        return double(config, given, context)

    clock = [64.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((2026, 1, 2, 3, 4, 5, 0, 0, 0)))
    step = Step("first", DOUBLE._replace(run=slow), Toy(), {})
    walker = walk_one(root, step)
    made = walker.entries["first"].made
    assert made == ("2026-01-02T03:04:05Z", 12.346)  # to the millisecond
    assert [w.took_s for w in walker.walked] == pytest.approx([12.3456])
    clock[0] = 1e6
    again = walk_one(root, step)
    assert again.entries["first"].made == made and [w.took_s for w in again.walked] == [0.0]


def test_a_run_s_own_sweep_waits_for_nobody_and_takes_nothing_of_others(root: Path) -> None:
    options = Options(run_dir=root / "run", store=root / "store")
    with open_store(options) as store:
        half = store.root / "cas" / f".tmp-{'a' * 32}-edgekd"
        half.write_text("what the first run is writing")
        with open_store(options):
            assert half.exists()
    with open_store(options):
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
    with open_store(options) as store:
        walker = Walker(store, options, heard, HERE)
        with pytest.raises(ZeroDivisionError):
            walker.walk((first, second, third._replace(stage=DOUBLE._replace(run=broken))))
    assert heard.said == [("first", 0), ("end", 1), ("second", 1), ("end", 2), ("third", 2)]


def test_a_result_made_while_the_code_changed_is_not_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(module: str) -> None:
        raise MachineError(f"{module}: changed while it was running")

    monkeypatch.setattr(sources, "require_unchanged", changed)
    with pytest.raises(MachineError, match="walk_example: changed while it was running"):
        walk(root)
    assert calls(root) == 1 and not list((root / "store" / "ac").iterdir())


def test_nothing_is_foreseen_of_a_folder_that_is_no_store(root: Path) -> None:
    with pytest.raises(InputError, match="want a store or an empty folder"):
        list(forecast_steps(plan(root / "source"), Store(root), HERE))


def test_a_step_of_which_one_input_is_missing_is_not_foreseen(root: Path) -> None:
    """The third takes from the first, which is there, and from the second, which is not."""
    walk_one(root, plan(root / "source")[0])
    found = list(forecast_steps(plan(root / "source"), Store(root / "store"), HERE))
    assert [(f.hit, f.key is None) for f in found] == [(True, False), (False, False), (False, True)]


def test_whoever_waits_says_for_whom(root: Path) -> None:
    """The other holds the lock of this result until it is heard that somebody waits."""
    first = plan(root / "source")[0]
    key = walk_one(root, first).entries["first"].key
    Store(root / "store").quarantine(key)

    class Said(Silent):
        def note(self, text: str) -> None:
            said.append(text)
            other.close()

    said: list[str] = []
    options = Options(run_dir=root / "run", store=root / "store")
    with open_store(options) as store, ExitStack() as other:
        other.enter_context(store.lock(key))
        walker = Walker(store, options, Said(), HERE)
        walker.walk((first,))
    assert len(said) == 1 and said[0].startswith("waiting for another run on this store (")
    assert [w.hit for w in walker.walked] == [False]


def test_a_run_shares_its_store_with_others_and_not_with_garbage_collection(root: Path) -> None:
    options = Options(run_dir=root / "run", store=root / "store", wait=False)
    with (
        open_store(options) as store,
        open_store(options),
        pytest.raises(MachineError),
        store.lock("store", wait=False),
    ):
        pass
    with store.lock("store", wait=False):
        pass


def test_each_key_is_told_before_its_result_is_looked_for(root: Path) -> None:
    """Found or made: what a run is interrupted in is then known to belong to it."""
    options, told = Options(run_dir=root / "run", store=root / "store"), list[tuple[str, bool]]()
    for made in (False, True):
        told.clear()
        with open_store(options) as store:

            def begin(key: str, store: Store = store) -> None:
                told.append((key, store.peek(key) is not None))

            walker = Walker(store, options, Silent(), HERE, begin)
            walker.walk(plan(root / "source"))
        assert told == [(walker.entries[step].key, made) for step in ("first", "second", "third")]
