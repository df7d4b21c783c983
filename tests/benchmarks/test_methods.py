"""What benchmarks/methods says of its runs: what is kept for `edgekd methods`, and in sentences."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

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
    kind = "seeds" if len(seeds) > 1 else "images"
    found = None
    if apart is not None:
        found = {"mean": apart, "low": apart - 0.01, "high": apart + 0.01, "kind": kind}
    row = {"pair": "same", "method": method, "family": "feature", "seeds": seeds, "mean": 0.8}
    return {**row, "control": found, "kd": found, "flags": {}, "error": None, **more}


def test_what_went_wrong_and_what_an_interval_is_over_is_kept(
    scripts: dict[str, ModuleType],
) -> None:
    why = "step 139 (epoch 2): loss fsp is inf"
    lost = line("fsp", [], None, mean=None, flags={"diverged": 2}, error=why)
    runs = [{"pair": "same", "method": name} for name in ("fsp", "fsp", "sp")]
    found = scripts["render"].measured({"lines": [lost, line("sp", [0], 0.02)], "runs": runs})
    assert found["pairs"]["same"] == scripts["words"].PAIRS["same"].about
    fsp, sp = (found["methods"][name]["same"] for name in ("fsp", "sp"))
    assert (fsp["mean"], fsp["flags"], fsp["error"], fsp["runs"]) == (None, {"diverged": 2}, why, 2)
    assert (sp["kind"], sp["seeds"], sp["runs"], sp["interval"]) == ("images", 1, 1, [0.01, 0.03])


def test_a_table_is_json_with_a_line_an_entry(scripts: dict[str, ModuleType]) -> None:
    value = {"methods": {"sp": {"same": {"mean": 0.8}}, "ab": {}}, "pairs": {"same": "two"}}
    told = scripts["render"].compact(value)
    assert json.loads(told) == value
    assert told.index('\n"ab": {},\n') < told.index('\n"sp": {"same": {"mean": 0.8}}\n')


def test_one_seed_neither_hurts_nor_helps(scripts: dict[str, ModuleType]) -> None:
    both, one = [0, 1], [0]
    lines = [
        line("down", both, -0.05),
        line("up", both, 0.05),
        line("once-down", one, -0.05),
        line("once-up", one, 0.05),
        line("lost", [], None),
    ]
    told = scripts["text"]._said(lines)
    assert (
        "lies below the control: `down`. 1 of 2 methods are below it in the mean, 1 above" in told
    )
    assert told.endswith(
        "Above `kd` with it: `up`. Rows with one seed so far, which do not count here: 2."
    )
    assert "seed" not in scripts["text"]._said(lines[:2])
