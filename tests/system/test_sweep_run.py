"""Three students of few epochs through the command line: what is shared, and the winner's recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekd import cli
from edgekd.store import Store
from tests.system.conftest import RECIPE
from tests.system.conftest import SMALL


@pytest.mark.slow
def test_three_students_share_a_teacher_and_the_winner_is_found_in_the_store(
    tmp_path: Path,
) -> None:
    sets = [part for text in SMALL for part in ("--set", text)]
    store, folder = tmp_path / "store", tmp_path / "sweep"
    order = ["sweep", str(RECIPE), "--store", str(store), "--sweep-dir", str(folder), *sets]
    done = CliRunner().invoke(cli.main, [*order, "--over", "student.model.base=2,4,6"])
    assert done.exit_code == 0, done.output
    sweep = json.loads((folder / "sweep.json").read_bytes())
    assert len(sweep["settings"]) == 3 and sweep["winner"] in sweep["frontier"]
    lineages = [
        json.loads((folder / each["runs"][0] / "result.json").read_bytes())["lineage"]
        for each in sweep["settings"]
    ]
    for label, count in {"teacher": 1, "knowledge": 1, "control": 3, "distil": 3}.items():
        assert len({lineage[label]["key"] for lineage in lineages}) == count, label
    before = {entry.key for entry in Store(store).entries()}
    winner = ["compress", str(folder / "winner.yaml"), "--run-dir", str(tmp_path / "run")]
    again = CliRunner().invoke(cli.main, [*winner, "--store", str(store)])
    assert again.exit_code == 0, again.output
    assert {entry.key for entry in Store(store).entries()} == before
