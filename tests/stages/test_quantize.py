"""The stage on a small net that knows its images: learned, kept, given back by its blueprint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekd.errors import InputError
from edgekd.learn import blueprint
from edgekd.learn.method import loss
from edgekd.learn.quant import insertion
from edgekd.learn.quantize_settings import QuantizeSettings
from edgekd.learn.view_settings import Views
from edgekd.progress import Progress
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stage import Made
from edgekd.stages import quantize as stage
from tests import data_example
from tests.learn.blueprint_example import image_blueprint

SIDE = 8


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A net of random weights whose own answers are the labels, and a teacher that says the same."""
    root = tmp_path_factory.mktemp("given")
    images = np.random.default_rng(0).integers(0, 256, (240, SIDE, SIDE, 1), dtype=np.uint8)
    plan = image_blueprint(builder="resnet8", classes=3, channels=1, height=SIDE, width=SIDE)
    torch.manual_seed(0)
    model = blueprint.build(plan)
    x = torch.from_numpy(((images / 255 - 0.5) / 0.3).astype(np.float32)).permute(0, 3, 1, 2)
    with torch.no_grad():
        for _ in range(10):
            model.train()(x)
        model.fc.bias -= model.eval()(x).mean(0)
        logits = model(x).numpy()
    saved = blueprint.save(model, plan, root)
    field, part = data_example.image(SIDE, SIDE, std=0.3), (images, logits.argmax(1))
    found = data_example.write_data(root, field, "abc", train=part, validation=part)
    np.save(root / "knowledge.npy", logits[None])
    (root / "resolved.json").write_text('{"precision":"fp32","channels_last":false,"threads":1}')
    return {
        "start_blueprint": saved["blueprint.json"],
        "start_weights": saved["weights.safetensors"],
        "resolved": root / "resolved.json",
        "knowledge": root / "knowledge.npy",
        **found,
    }


SILENT = Silent()


def run(given: dict[str, Path], folder: Path, *, progress: Progress = SILENT, **words: Any) -> Made:
    folder.mkdir(exist_ok=True)
    context = Context(folder=folder, checkpoints=folder / "checkpoints", seed=0, progress=progress)
    usual = {"scheme": "asymmetric", "views": Views(count=1), "views_seed": 0}
    words = {"calibration_samples": 96, "train": {"epochs": 1, "batch_size": 60}} | words
    return stage.run(stage.QuantizeConfig.model_validate(usual | words), given, context)


def told(made: Made) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made["sensitivity.json"].read_bytes())
    return found


def test_never_below_post_training_and_given_back(given: dict[str, Path], tmp_path: Path) -> None:
    budget = {"score_drop": 100.0}
    made = run(given, tmp_path, weight_bits=4, layer_bits={"fc": 8}, **budget)
    about = told(made)
    (only,) = about["rounds"]
    assert only["learned"] >= only["post_training"]
    assert only["learned"] == json.loads(made["score.json"].read_bytes())["score"]
    assert len(json.loads(made["history.json"].read_bytes())) == 1
    model = blueprint.load(made["blueprint.json"], made["weights.safetensors"])
    bits = {name: one.bits for name, one in insertion.find_weight_quantizers(model).items()}
    assert bits.pop("fc") == 8 and set(bits.values()) == {4}
    assert {row["layer"]: row["weight_bits"] for row in about["layers"]} == bits | {"fc": 8}


def test_twice_the_same_bytes(given: dict[str, Path], tmp_path: Path) -> None:
    first, again = run(given, tmp_path / "a"), run(given, tmp_path / "b")
    assert {n: p.read_bytes() for n, p in first.items()} == {
        n: p.read_bytes() for n, p in again.items()
    }


class Pulled(Silent):
    """The plug is pulled in the sixth of eight steps."""

    def update(self, done: int, total: int, text: str) -> None:
        if (done, total, text) == (6, 8, ""):
            raise KeyboardInterrupt


def test_struck_in_the_middle_of_learning_it_ends_in_the_same_bytes(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edgekd.learn.training.monitor.StepMonitor.show",
        lambda self, state: self.run.progress.update(state.step, self.total_steps, ""),
    )
    words = {"train": {"epochs": 2, "batch_size": 60, "checkpoint_every_s": 0}}
    whole = run(given, tmp_path / "whole", **words)
    with pytest.raises(KeyboardInterrupt):
        run(given, tmp_path / "struck", progress=Pulled(), **words)
    assert list((tmp_path / "struck" / "checkpoints" / "round-0").iterdir())
    resumed = run(given, tmp_path / "struck", **words)
    assert {n: p.read_bytes() for n, p in whole.items()} == {
        n: p.read_bytes() for n, p in resumed.items()
    }


def test_learning_that_harms_is_undone(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a usual weight would rise over the epochs of this training."""
    told_of = list[float]()
    monkeypatch.setattr(loss, "find_ramp", lambda term, epochs: told_of.append(epochs))
    wild = {"epochs": 1, "batch_size": 60, "optimizer": "sgd", "learning_rate": 3.0}
    made = run(given, tmp_path, train=wild, teachers=("student",))
    assert told_of == [1]
    plain = run(given, tmp_path / "plain", train=None)
    (only,) = told(made)["rounds"]
    assert only["learned"] == only["post_training"]
    assert made["weights.safetensors"].read_bytes() == plain["weights.safetensors"].read_bytes()


def test_the_costliest_layers_are_left_until_the_budget_holds(
    given: dict[str, Path], tmp_path: Path
) -> None:
    made = run(given, tmp_path, train=None, weight_bits=2, score_drop=0.0)
    rounds = told(made)["rounds"]
    counts = [len(one["float_layers"]) for one in rounds]
    assert counts == [0, 1, 3, 7][: len(counts)] and len(counts) > 1
    assert rounds[-1]["learned"] >= rounds[0]["learned"]
    (edit,) = json.loads(made["blueprint.json"].read_bytes())["edits"]
    assert edit["float_layers"] == rounds[-1]["float_layers"]


@pytest.mark.parametrize("name", ["fc", "no.such.layer"])
def test_a_layer_that_is_not_there_is_refused(
    given: dict[str, Path], tmp_path: Path, name: str
) -> None:
    bad = {"float_layers": (f"{name}x",)}
    with pytest.raises(InputError, match=f"quantize: float_layers: got '{name}x'"):
        run(given, tmp_path, train=None, **bad)


def test_what_training_leaves_out_is_quantization_s_own() -> None:
    words = QuantizeSettings.model_validate({"train": {"epochs": 7}})
    assert words.train is not None
    assert words.train.epochs == 7 and words.train.optimizer == "adamw"
    assert words.train.learning_rate == QuantizeSettings().train.learning_rate  # type: ignore[union-attr]
