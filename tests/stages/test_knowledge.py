"""The stage stores what a teacher answers, and of what; a kill costs what was not saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from edgekd.learn import blueprint
from edgekd.learn.knowledge import filling
from edgekd.learn.knowledge.layout import read_manifest
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import knowledge
from tests import data_example
from tests.learn.blueprint_example import image_blueprint

PLAN = image_blueprint(builder="resnet8", classes=3, channels=1, height=8, width=8)


def make_inputs(folder: Path, classes: str = "abc", seed: int = 0) -> dict[str, Path]:
    folder.mkdir()
    torch.manual_seed(seed)
    saved = blueprint.save(blueprint.build(PLAN), PLAN, folder)
    part = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), np.uint8), np.arange(20) % 3
    found = data_example.write_data(folder, data_example.image(8, 8), classes, train=part)
    (folder / "resolved.json").write_text('{"precision":"fp32","channels_last":false,"threads":1}')
    return {
        "data": found["data"],
        "train": found["train"],
        "blueprint": saved["blueprint.json"],
        "weights": saved["weights.safetensors"],
        "resolved": folder / "resolved.json",
    }


def run(
    given: dict[str, Path], folder: Path, remains: Mapping[str, Path] | None = None, **said: Any
) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    work = folder / "checkpoints"
    work.mkdir(exist_ok=True)
    context = Context(
        folder=folder, checkpoints=work, seed=0, progress=Silent(), remains=remains or {}
    )
    words = {"views": {"count": 2, "flip": True}, "views_seed": 0, **said}
    return knowledge.run(knowledge.KnowledgeConfig.model_validate(words), given, context)


def test_what_answers_are_of_is_told_apart(tmp_path: Path) -> None:
    said: dict[str, Any] = {"storage": {"encoding": "fp16"}}
    variants = {
        "": (make_inputs(tmp_path / "given"), said),
        "classes data": (make_inputs(tmp_path / "order", classes="bac"), said),
        "teacher": (make_inputs(tmp_path / "teacher", seed=1), said),
        "views": (make_inputs(tmp_path / "views"), {**said, "views_seed": 1}),
    }
    origins = {}
    for number, (what, (given, words)) in enumerate(variants.items()):
        made = run(given, tmp_path / str(number), **words)
        origins[what] = read_manifest(made["knowledge.json"]).origin
    for what, origin in origins.items():
        assert " ".join(name for name in origin if origin[name] != origins[""][name]) == what


def test_a_killed_fill_goes_on_from_its_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, said = make_inputs(tmp_path / "given"), {"storage": {"encoding": "int8", "top_k": 2}}
    whole = run(given, tmp_path / "whole", **said)
    save, saved = filling._save, []

    def die_late(*arguments: Any) -> Path:
        saved.append(save(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(filling, "_save", die_late)
    with pytest.raises(KeyboardInterrupt):
        run(given, tmp_path / "killed", **said)
    monkeypatch.setattr(filling, "_save", save)
    made = run(given, tmp_path / "killed", **said)
    assert made["shard-00000.rows"] == saved[0]
    assert {name: path.read_bytes() for name, path in made.items()} == {
        name: path.read_bytes() for name, path in whole.items()
    }


def test_only_the_shard_that_was_lost_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, said = make_inputs(tmp_path / "given"), {"storage": {"encoding": "fp16"}}
    whole = run(given, tmp_path / "whole", **said)
    lost = whole.pop("shard-00000.rows")
    monkeypatch.setattr(filling, "_save", save := mock.Mock(side_effect=filling._save))
    made = run(given, tmp_path / "again", whole, **said)
    assert save.call_count == 1
    assert made["shard-00000.rows"].read_bytes() == lost.read_bytes()
