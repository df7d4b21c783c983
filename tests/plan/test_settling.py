"""What the rehearsal chose decides where the layers of a teacher come from, and nothing else does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgekd import recipe as recipes
from edgekd.errors import InputError
from edgekd.learn.knowledge.choosing import LayerChoice
from edgekd.plan import settling
from edgekd.plan import steps
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.stages import check
from edgekd.store import CreationTime
from edgekd.store import Store

STORED = LayerChoice(True, "storing is faster", 3_000_000, 10.0, 60.0)
LIVE = STORED._replace(is_stored=False, why="storing is no faster")


def load(*learn: dict[str, Any], **more: Any) -> recipes.Recipe:
    value = {
        "name": "small",
        "data": {"source": "digits"},
        "teacher": {"model": "resnet20"},
        "student": {"model": "resnet8"},
        "learn": list(learn),
        "targets": [{"runtime": "onnxruntime"}],
    }
    return recipes.load_mapping({**value, **more})


def plan(recipe: recipes.Recipe, folder: Path) -> dict[str, Step]:
    options = Options(run_dir=folder / "run", store=folder / "store")
    return {step.label: step for step in steps(recipe, folder, options)}


FITNET = {"step": "distil", "losses": ["kd", "fitnet"]}
POOLED = {"encoding": "fp16", "layers": "pooled"}
PRUNED = {"step": "prune", "macs": 0.5, "recover": {"losses": ["kd", "sp"]}}


@pytest.mark.parametrize(("words", "may"), [({}, True), ({"knowledge": "online"}, False)])
def test_a_step_that_computes_layers_may_read_them_whole_where_stored_ones_are_pooled(
    tmp_path: Path, words: dict[str, Any], may: bool
) -> None:
    recipe = load({**FITNET, **words}, {"step": "distil", "losses": ["kd"]}, knowledge=POOLED)
    config = plan(recipe, tmp_path)["check"].settings
    assert isinstance(config, check.CheckConfig)
    assert [case.may_store_layers for case in config.cases] == [may, False]
    if may:
        assert config.storage.layers == "pooled"


def test_a_step_is_open_only_where_its_teacher_s_layers_could_be_stored() -> None:
    assert [s.label for s in settling.find_open_steps(load(FITNET, PRUNED))] == [
        "distil",
        "prune-recover",
    ]
    closed = [
        {**FITNET, "knowledge": "online"},
        {**FITNET, "knowledge": "stored"},
        {"step": "distil", "losses": ["kd"]},
        {"step": "distil", "losses": ["simkd"]},
        {"step": "distil", "losses": ["kd", "fitnet"], "only": ["1", "2"]},
    ]
    assert not any(settling.find_open_steps(load(each)) for each in closed)


def test_what_was_chosen_becomes_the_plan(tmp_path: Path) -> None:
    recipe = load(FITNET, PRUNED)
    before = plan(recipe, tmp_path)
    assert "knowledge" not in before and "teacher_weights" in before["distil"].takes
    chosen = {"distil": STORED, "prune-recover": STORED, "other": LIVE}
    after = plan(settling.apply_choices(recipe, chosen), tmp_path)
    files = [after["knowledge"].takes[f"layers_{number}"] for number in (1, 2)]
    assert files == [("check", "layers-distil.json"), ("check", "layers-prune-recover.json")]
    for label in ("distil", "prune-recover"):
        assert after[label].takes["knowledge/knowledge.json"] == ("knowledge", "knowledge.json")
        assert "teacher_weights" not in after[label].takes
    live = plan(settling.apply_choices(recipe, {"distil": LIVE}), tmp_path)
    assert live.keys() == before.keys() and live["distil"].takes == before["distil"].takes
    # what was tried before stays tried
    assert after["check"].settings == before["check"].settings


def test_a_choice_is_read_back_from_the_store_and_broken_ones_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "store").open()
    when = CreationTime("2026-01-01T00:00:00Z", 1.0)
    path = tmp_path / check.STORING
    path.write_text(json.dumps({"distil": STORED.describe()}))
    entry = store.commit({"stage": "check"}, {check.STORING: path}, when)
    assert settling.read_choices({"check": entry}, store) == {"distil": STORED}
    assert settling.read_choices({}, store) == {}
    path.write_text('{"distil": {"is_stored": true}}')
    entry = store.commit({"stage": "check", "seed": 1}, {check.STORING: path}, when)
    with pytest.raises(InputError, match="want what a rehearsal chose"):
        settling.read_choices({"check": entry}, store)


def test_people_read_what_was_chosen_why_and_what_either_costs() -> None:
    assert settling.describe_choice(STORED) == (
        "the teacher's layers are stored, for storing is faster: stored, about 10.0 s and 3 MB; computed in every "
        "step, about 1 min 00 s"
    )
    assert settling.describe_choice(LIVE).startswith(
        "the teacher's layers are computed in every step, for"
    )


def test_a_recipe_s_limit_is_no_part_of_how_answers_are_stored(tmp_path: Path) -> None:
    said = {"encoding": "fp16", "disk_limit_gb": 3.0, "layers": "whole"}
    made = plan(load({**FITNET, "knowledge": "stored"}, knowledge=said), tmp_path)
    assert made["knowledge"].settings.model_dump()["storage"] == {
        "encoding": "fp16",
        "top_k": None,
        "temperature": 1.0,
    }
    assert made["check"].settings.model_dump()["storage"]["disk_limit_gb"] == 3.0
