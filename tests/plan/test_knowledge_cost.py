"""The plan says how often a teacher is asked, stored and live, and what that costs as far as it was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd import dataset
from edgekd import recipe as recipes
from edgekd.dataset import Dataset
from edgekd.fields.masked_tokens import MaskedTokens
from edgekd.fields.tokens import Tokens
from edgekd.plan.knowledge_cost import KnowledgeCost
from edgekd.plan.knowledge_cost import estimate_knowledge
from edgekd.store import CreationTime
from edgekd.store import Store
from edgekd.store import StoreEntry
from tests import data_example

SAMPLES = 6


def load(*learn: dict[str, Any], **more: Any) -> recipes.Recipe:
    steps = [{"step": "distil", "losses": ["kd"], **step} for step in learn]
    value = {
        "name": "small",
        "data": {"source": "digits"},
        "views": {"count": 4},
        "teacher": {"model": "resnet20"},
        "student": {"model": "resnet8", "train": {"epochs": 30}},
        "learn": steps,
        "targets": [{"runtime": "onnxruntime"}],
    }
    return recipes.load_mapping({**value, **more})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


def commit(store: Store, folder: Path, stage: str, took_s: float, **more: Any) -> StoreEntry:
    """A result of that stage with the files of a folder."""
    when = CreationTime("2026-01-01T00:00:00Z", took_s)
    outputs = {path.name: path for path in folder.iterdir()}
    return store.commit({"stage": stage, **more}, outputs, when)


def results(store: Store, root: Path) -> dict[str, StoreEntry]:
    """Data and a teacher, whose answers were stored before: eight views in 24 seconds."""
    data, teacher = root / "data", root / "teacher"
    for folder in (data, teacher):
        folder.mkdir()
    part = (np.zeros((SAMPLES, 8, 8, 1), "uint8"), np.zeros(SAMPLES, int))
    data_example.write_data(data, data_example.image(8, 8), "abcdefghij", train=part)
    (teacher / "blueprint.json").write_text("{}")
    made = {"data": commit(store, data, "data", 1.0), "teacher": commit(store, teacher, "train", 9)}
    given = {
        "train": made["data"].files["train"].sha256,
        "blueprint": made["teacher"].files["blueprint.json"].sha256,
    }
    settings = {"views": {"count": 8}, "views_seed": 0}
    commit(store, teacher, "knowledge", 24.0, given=given, settings=settings)
    commit(store, teacher, "knowledge", 1.0, given={**given, "train": "0"}, settings=settings)
    for strange in ({"views": {"count": 0}}, [1]):
        commit(store, teacher, "knowledge", 1.0, given=given, settings=strange)
    return made


def estimate(recipe: recipes.Recipe, found: dict[str, StoreEntry], store: Store) -> KnowledgeCost:
    (cost,) = estimate_knowledge(recipe, found, store)
    return cost


def test_stored_answers_count_views_and_live_ones_the_epochs_of_all_who_learn(
    tmp_path: Path, store: Store
) -> None:
    found = results(store, tmp_path)
    second = {"train": {"epochs": 5}}
    cost = estimate(load({}, second, knowledge={"encoding": "int8"}), found, store)
    assert cost.is_stored and (cost.stored_a_sample, cost.live_a_sample) == (4, 35)
    assert cost.samples == SAMPLES and cost.stored_bytes == 4 * SAMPLES * (10 + 4)
    assert cost.count_seconds(4) == pytest.approx(24 / 8 * 4)
    assert estimate(load({}), found, store).answer_bytes == 40


def test_nothing_is_made_up_where_nothing_was_measured(tmp_path: Path, store: Store) -> None:
    cost = estimate(load({}), {}, store)
    assert (cost.stored_bytes, cost.count_seconds(1), cost.live_a_sample) == (None, None, 30)
    found = results(store, tmp_path)
    data_alone = estimate(load({}), {"data": found["data"]}, store)
    assert data_alone.stored_bytes == 4 * SAMPLES * 40 and data_alone.answer_s is None


def test_what_is_asked_live_says_why(store: Store) -> None:
    inside = estimate(load({"losses": ["kd", "fitnet"]}), {}, store)
    assert not inside.is_stored and inside.why_live == (
        "loss fitnet reads its layers, until the rehearsal says that storing them is faster"
    )
    asked = estimate(load({"knowledge": "online"}), {}, store)
    assert not asked.is_stored and asked.why_live == ""
    assert not list(estimate_knowledge(load({"scheme": "dml"}), {}, store))


def test_layers_that_are_stored_count_with_the_answers(tmp_path: Path, store: Store) -> None:
    found, checked = results(store, tmp_path), tmp_path / "checked"
    checked.mkdir()
    row = {"is_stored": True, "why": "", "stored_bytes": 4 * SAMPLES * 500, "stored_s": 1.0}
    (checked / "storing.json").write_text(json.dumps({"distil": {**row, "live_s": 2.0}}))
    found["check"] = commit(store, checked, "check", 1.0)
    cost = estimate(load({"losses": ["kd", "fitnet"], "knowledge": "stored"}), found, store)
    assert cost.is_stored and cost.answer_bytes == 500


def test_of_masked_tokens_those_alone_are_stored(tmp_path: Path, store: Store) -> None:
    data = tmp_path / "data"
    data.mkdir()
    described = Dataset(
        task="masked-language-modelling",
        inputs={"text": Tokens(vocabulary=500, usual=60, longest=64)},
        targets={"masked_tokens": MaskedTokens(vocabulary=500, mask_token=4)},
        counts={"train": SAMPLES},
    )
    (data / "data.json").write_text(json.dumps(dataset.to_json(described)))
    source = {"name": "masked-text", "reference": "t", "tokenizer": "t.json"}
    recipe = load(
        {},
        task="masked-language-modelling",
        data={"source": source},
        teacher={"model": "text-filler"},
        student={"model": "text-filler", "train": {"epochs": 30}},
        knowledge={"top_k": 20, "encoding": "int8"},
    )
    cost = estimate(recipe, {"data": commit(store, data, "data", 1.0)}, store)
    assert cost.is_stored and cost.answer_bytes == 4 + 9 * (20 * 3 + 4 + 4)  # 9 of 60 tokens
    every = [{"name": "kd", "all_tokens": True}]
    live = estimate(recipe.model_copy(update={"learn": load({"losses": every}).learn}), {}, store)
    assert not live.is_stored and live.why_live == "loss kd compares all tokens"
