"""A classifier trained on labels, on auxiliary logits where the recipe says so; near chance is a warning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from edgekd import splits
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import train
from tests import data_example

MODEL = "python:tests.odd_models_example:Auxiliary"


class Noted(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Path]:
    """Images of three classes, each of another brightness."""
    resolved = {"precision": "fp32", "channels_last": False, "threads": 1}
    (tmp_path / "resolved.json").write_text(json.dumps(resolved))
    random, parts = np.random.default_rng(0), {}
    for split, count in (("train", 96), ("validation", 60)):
        labels = np.arange(count) % 3
        images = random.integers(0, 40, (count, 8, 8, 1)) + 100 * labels[:, None, None, None]
        parts[split] = images.astype(np.uint8), labels
    found = data_example.write_data(tmp_path, data_example.image(8, 8, std=0.3), "abc", **parts)
    return found | {"resolved": tmp_path / "resolved.json"}


def run(given: dict[str, Path], folder: Path, progress: Silent, **words: Any) -> dict[str, Path]:
    folder.mkdir()
    context = Context(
        folder=folder, checkpoints=folder / "kept", seed=0, progress=progress, allow_code=True
    )
    training = {"epochs": 2, "batch_size": 16, "learning_rate": 0.05, "weight_decay": 0.0, **words}
    config = {"model": MODEL, "losses": ["cross-entropy"], "train": training}
    settings = {**config, "views": {"count": 1}, "views_seed": 0}
    return train.run(train.TrainConfig.model_validate(settings), given, context)


def test_auxiliary_logits_are_trained_on_by_a_word(given: dict[str, Path], tmp_path: Path) -> None:
    heads = {}
    for weight in (0.0, 0.3):
        made = run(given, tmp_path / f"out{weight}", Silent(), auxiliary=weight)
        heads[weight] = load_file(made["weights.safetensors"])["aux.weight"]
        (first, last) = json.loads(made["history.json"].read_bytes())
        assert ("auxiliary" in first) == bool(weight)
        assert not weight or last["auxiliary"] < first["auxiliary"]
    torch.manual_seed(0)
    from tests.odd_models_example import Auxiliary

    untouched = Auxiliary(3).aux.weight.detach()
    assert torch.equal(heads[0.0], untouched) and not torch.equal(heads[0.3], untouched)


def test_near_chance_is_a_warning_without_talk_of_preprocessing(
    given: dict[str, Path], tmp_path: Path
) -> None:
    noted = Noted()
    made = run(given, tmp_path / "good", noted)
    score = json.loads(made["score.json"].read_bytes())
    assert set(score) == {"score", "metrics", "scales", "near_chance", "parameters", "macs"}
    assert score["score"] == score["metrics"]["accuracy"] > 0.9 and score["near_chance"] == ""
    assert score["metrics"]["balanced accuracy"] > 0.9
    history = json.loads(made["history.json"].read_bytes())
    assert [set(row) for row in history] == 2 * [{"cross-entropy", "learning_rate", "score"}]
    assert history[-1]["score"] == score["score"]
    assert not any("chance" in note for note in noted.notes)
    images = np.array(splits.read(given["validation"])["images"])
    part = images, np.arange(60) // 20  # other labels than it learned
    other = data_example.image(8, 8, std=0.3)
    given |= data_example.write_data(tmp_path / "other", other, "abc", validation=part)
    noted = Noted()
    made = run(given, tmp_path / "bad", noted)
    said = json.loads(made["score.json"].read_bytes())["near_chance"]
    (warning,) = (note for note in noted.notes if note.startswith("warning"))
    assert warning == f"warning: python: {said}"
    assert said.endswith("near chance, which is 33.33 %") and "preprocessing" not in warning


def test_it_goes_on_from_what_was_loaded_and_leaves_what_is_frozen(
    given: dict[str, Path], tmp_path: Path
) -> None:
    words = {"model": "resnet8", "losses": ["cross-entropy"], "views": {"count": 1}}
    first = {}
    for name, more, start in (
        ("before", {}, {}),
        ("after", {"freeze": 1, "layer_decay": 0.5}, first),
    ):
        (tmp_path / name).mkdir()
        context = Context(
            folder=tmp_path / name, checkpoints=tmp_path / name / "kept", seed=1, progress=Silent()
        )
        training = {"epochs": 1, "batch_size": 16, "learning_rate": 0.05, **more}
        config = train.TrainConfig.model_validate({**words, "train": training, "views_seed": 0})
        made = train.run(config, {**given, **start}, context)
        first |= {"start_blueprint": made["blueprint.json"]}
        first |= {"start_weights": made["weights.safetensors"]}
    before, after = (load_file(tmp_path / n / "weights.safetensors") for n in ("before", "after"))
    still = {name for name in before if torch.equal(before[name], after[name])}
    first_stage = {name for name in before if name.startswith(("conv1.", "bn1.", "layer1."))}
    assert {n for n in before if n.startswith("bn1.")} <= still
    assert still == first_stage
