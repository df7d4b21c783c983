"""What benchmarks/methods says of its runs: what is kept for `edgekd methods`, and in sentences."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks" / "methods"


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, ModuleType]]:
    """They import one another by name, as when one is run."""
    names = ("render", "text", "draw", "compare", "words")
    sys.path.insert(0, str(SCRIPTS))
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(SCRIPTS))
        for name in names:
            sys.modules.pop(name, None)


def line(method: str, seeds: list[int], apart: float | None, **more: Any) -> dict[str, Any]:
    """A method whose accuracy differs by as much from the control's as from kd's."""
    known = len(seeds) > 2 and apart is not None
    ends = {"low": apart - 0.01, "high": apart + 0.01} if known else {"low": None, "high": None}
    found = None if apart is None else {"mean": apart, **ends}
    row = {"pair": "same", "method": method, "family": "feature", "seeds": seeds, "mean": 0.8}
    return {**row, "control": found, "kd": found, "flags": {}, "error": None, **more}


def test_what_went_wrong_is_kept(
    scripts: dict[str, ModuleType],
) -> None:
    why = "step 139 (epoch 2): loss fsp is inf"
    lost = line("fsp", [], None, mean=None, flags={"diverged": 2}, error=why)
    runs = [{"pair": "same", "method": name} for name in ("fsp", "fsp", "sp")]
    found = scripts["render"].measured({"lines": [lost, line("sp", [0, 1, 2], 0.02)], "runs": runs})
    assert found["pairs"]["same"] == scripts["words"].PAIRS["same"].about
    fsp, sp = (found["methods"][name]["same"] for name in ("fsp", "sp"))
    assert (fsp["mean"], fsp["flags"], fsp["error"], fsp["runs"]) == (None, {"diverged": 2}, why, 2)
    assert (sp["seeds"], sp["runs"], sp["interval"]) == (3, 1, [0.01, 0.03])
    assert sp["kd_interval"] == sp["interval"]
    once = scripts["render"].measured({"lines": [line("sp", [0], 0.02)], "runs": []})
    assert once["methods"]["sp"]["same"]["interval"] is None
    assert once["methods"]["sp"]["same"]["control_difference"] == 0.02


def test_a_table_is_json_with_a_line_an_entry(scripts: dict[str, ModuleType]) -> None:
    value = {"methods": {"sp": {"same": {"mean": 0.8}}, "ab": {}}, "pairs": {"same": "two"}}
    told = scripts["render"].compact(value)
    assert json.loads(told) == value
    assert told.index('\n"ab": {},\n') < told.index('\n"sp": {"same": {"mean": 0.8}}\n')


def test_an_interval_on_one_side_hurts_or_helps(scripts: dict[str, ModuleType]) -> None:
    lines = [
        line("down", [0, 1, 2], -0.05),
        line("a-little", [0, 1, 2], -0.005),
        line("up", [0, 1, 2], 0.05),
        line("once-up", [0, 1], 0.5),
        line("once-down", [0], -0.5),
        line("lost", [], None),
    ]
    told = scripts["text"]._said(lines)
    assert "below the control: `down`. 2 of 3 methods with an interval are below it" in told
    assert told.endswith("Above `kd` with it: `up`; below: `down`.") and "once" not in told
    one_seed = [row for row in lines if len(row["seeds"]) < 3]
    assert scripts["text"]._said(one_seed).startswith("Too few methods have enough seeds")
    assert scripts["text"]._apart(one_seed[0]["control"]) == "+50.00"
    drawn = scripts["draw"].plot(lines, "same")
    assert drawn.count(b"<svg") == 1 and scripts["draw"].GREY.encode() in drawn
    assert scripts["draw"].GREY.encode() not in scripts["draw"].plot(lines[:3], "same")


def test_what_has_too_few_seeds_is_grey(scripts: dict[str, ModuleType]) -> None:
    more = {"spread": None, "cpu_step_s": None, "companion_parameters": 0, "student_parameters": 1}
    few, enough = (
        scripts["text"]._row(line("sp", seeds, 0.02, **more), None) for seeds in ([0, 1], [0, 1, 2])
    )
    assert few.count("color:#999999") == 6 and "[" not in few
    assert (
        enough
        == "| feature | `sp` | 3 | 80.00 | +2.00 [+1.00, +3.00] | +2.00 [+1.00, +3.00] |  |  |"
    )


def test_the_rate_of_a_pair_is_the_best_inside_the_grid(scripts: dict[str, ModuleType]) -> None:
    words, stored = scripts["words"], SCRIPTS / "results.json"
    tuned = json.loads(stored.read_text())["rates"]
    for name, pair in words.PAIRS.items():
        scores = {float(rate): score for rate, score in tuned[name].items()}
        best = max(scores, key=lambda rate: scores[rate])
        assert pair.learning_rate == best and min(scores) < best < max(scores)


def test_no_pair_has_an_interval_from_anothers_runs(scripts: dict[str, ModuleType]) -> None:
    """All methods of one pair move from seed to seed; of the other pair two alone have several seeds."""
    names = list(scripts["words"].methods())
    random = np.random.default_rng(0)
    runs = [
        {"pair": pair, "method": name, "seed": seed, "test_accuracy": 0.8 + random.normal(0, 0.01)}
        for pair in ("same", "other")
        for name in names
        for seed in range(3 if pair == "same" or name in names[:2] else 1)
    ]
    whole = [{**run, "status": "trained"} for run in runs]
    lines, each = scripts["render"].compared(whole)
    assert each["same"] is not None and each["other"] is None
    control = scripts["words"].CONTROL
    by = {(line["pair"], line["method"]): line["control"] for line in lines}
    for (pair, name), apart in by.items():
        if name != control:
            assert (apart["low"] is not None) == (pair == "same"), (pair, name)
    alone, _ = scripts["render"].compared([run for run in whole if run["pair"] == "other"])
    assert [line for line in lines if line["pair"] == "other"] == alone
    one = scripts["compare"].difference({0: 0.8}, {0: 0.7}, 0.01)
    assert (one.mean, one.low, one.high) == (pytest.approx(0.1), None, None)


def test_intervals_hold_the_truth_as_often_as_they_say(scripts: dict[str, ModuleType]) -> None:
    """Methods of known quality, seeds that move all alike and each by itself, one that fails at times."""
    compare, random, held = scripts["compare"], np.random.default_rng(0), []
    for _ in range(60):
        quality = random.normal(0.8, 0.02, 60)
        runs = quality[:, None] + random.normal(0, 0.02, 3) + random.normal(0, 0.005, (60, 3))
        runs[7, 1] = 0.1
        found = [dict(enumerate(row)) for row in runs]
        each = compare.deviation(compare.moves(found))
        assert each == pytest.approx(0.005 * 2**0.5, rel=0.5)
        for number in range(8, 60):
            apart = compare.difference(found[number], found[0], each)
            held.append(apart.low <= quality[number] - quality[0] <= apart.high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)


def test_a_method_that_moves_more_than_its_pair_has_an_interval_of_its_own(
    scripts: dict[str, ModuleType],
) -> None:
    compare = scripts["compare"]
    ours, theirs = {0: 0.8, 1: 0.9, 2: 0.7}, dict.fromkeys(range(3), 0.8)
    wild = compare.difference(ours, theirs, 0.005)
    assert wild.high == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-3)
    tame = compare.difference(ours, theirs, 0.1)
    assert tame.high == pytest.approx(1.96 * 0.1 / 3**0.5)
    assert compare.difference({0: 0.8, 1: 0.9}, theirs, 0.1).low is None


def test_a_few_runs_tell_nothing_of_how_far_they_move(scripts: dict[str, ModuleType]) -> None:
    compare = scripts["compare"]
    found = [{0: 0.8, 1: 0.81 + number / 1000} for number in range(compare.LEAST - 1)]
    assert compare.deviation(compare.moves(found)) is None
    assert compare.difference(found[0], found[1], None).low is None
    assert compare.difference({0: 0.8}, {1: 0.8}, 0.01) is None
