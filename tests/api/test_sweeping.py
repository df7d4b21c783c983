"""A sweep from Python is the command's: the same study, the same folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import edgekd
from edgekd import pipeline
from edgekd.errors import InputError
from edgekd.recipe import text
from edgekd.sweep import document
from tests.sweep.test_runner import OVER
from tests.sweep.test_runner import QUICKSTART
from tests.sweep.test_runner import FakeRuns
from tests.sweep.test_runner import sweep as sweep_by_words

SPACE = {"student.model.base": [4, 8, 16], "student_seed": range(2)}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> FakeRuns:
    made = FakeRuns()
    monkeypatch.setattr(pipeline, "compress", made)
    return made


def sweep(at: Path, recipe: Any = QUICKSTART, **other: Any) -> Any:
    words = {"sweep_dir": at / "s", "store": at / "store", "quiet": True, **other}
    return edgekd.sweep(recipe, SPACE, **words)


def test_it_is_the_commands_sweep(tmp_path: Path, runs: FakeRuns) -> None:
    found = sweep(tmp_path, budget={"score_drop": None, "speedup": None, "shrink": None})
    calls = list(runs.calls)
    assert len(calls) == 6 and len(found.settings) == 3 and found.missed == ""
    by_words = sweep_by_words(
        tmp_path / "words", OVER, "{score_drop: null, speedup: null, shrink: null}"
    )
    assert by_words.settings == found.settings and by_words.study == found.document.study
    assert found.winner == by_words.winner_outcome
    assert found.frontier == tuple(found.settings[number] for number in by_words.frontier)
    assert found.recipe.read_bytes() and "winner" in repr(found)


def test_a_mapping_makes_the_same_sweep_and_a_second_call_runs_nothing(
    tmp_path: Path, runs: FakeRuns
) -> None:
    found = sweep(tmp_path)
    before = len(runs.calls)
    content = text.read(QUICKSTART).value
    again = sweep(tmp_path, content, folder=QUICKSTART.parent)
    assert again.document == found.document and len(runs.calls) == before


def test_a_notebook_shows_a_row_for_every_setting_on_the_frontier(
    tmp_path: Path, runs: FakeRuns
) -> None:
    found = sweep(tmp_path)
    rows = [line for line in found._repr_markdown_().splitlines() if line.startswith("| ")]
    assert len(rows) >= 1 + len(found.frontier)
    assert len({row.count("|") for row in rows}) == 1


def test_a_missed_budget_is_said_not_raised(tmp_path: Path, runs: FakeRuns) -> None:
    found = sweep(tmp_path, budget={"latency_p50_ms": 0.001})
    assert found.winner is None and found.recipe is None
    assert found.missed.startswith("budget: none of 3 settings is inside; nearest: ")


def test_what_is_written_keeps_to_the_published_schema(tmp_path: Path, runs: FakeRuns) -> None:
    found = sweep(tmp_path)
    written = json.loads((found.folder / document.FILE).read_bytes())
    jsonschema.validate(written, document.schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**written, "winner": "none"}, document.schema())


def test_wrong_words_are_refused_before_anything_runs(tmp_path: Path, runs: FakeRuns) -> None:
    for over, message in (
        ({}, "got no key"),
        ({"student.model.base": [object()]}, "student.model.base: got what a recipe cannot hold"),
        ({"student.model.bse": [8]}, "bse"),
    ):
        with pytest.raises(InputError, match=message):
            edgekd.sweep(QUICKSTART, over, sweep_dir=tmp_path / "s", store=tmp_path, quiet=True)
    assert not runs.calls and not (tmp_path / "s").exists()


def test_the_package_is_the_function(monkeypatch: pytest.MonkeyPatch) -> None:

    package = sys.modules["edgekd.sweep"]
    with pytest.raises(TypeError, match="over"):
        package(QUICKSTART)  # type: ignore[operator]
