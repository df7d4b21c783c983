"""A teacher somebody else trained: its classes are found by name, whatever their order."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from safetensors.torch import save_file
from torch import nn

from edgekd.errors import InputError
from edgekd.learn import blueprint
from edgekd.learn.blueprint import Blueprint
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stage import Made
from edgekd.stages import load as stage
from tests import data_example
from tests.learn.blueprint_example import image_blueprint
from tests.published_text_example import write_folder
from tests.published_text_example import write_texts
from tests.tokenizer_example import change
from tests.tokenizer_example import pieces

NAMES = ("ankle boot", "bag", "coat")


class Noted(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Path]:
    """Images whose class is what a random network says, of the classes as `NAMES` has them."""
    images = np.random.default_rng(0).integers(0, 256, (120, 8, 8, 1), dtype=np.uint8)
    model = network()
    inputs = torch.from_numpy(((images / 255 - 0.5) / 0.3).astype(np.float32)).permute(0, 3, 1, 2)
    with torch.no_grad():
        model.train()(inputs)
        model.fc.bias -= model.eval()(inputs).mean(0)
        labels = model(inputs).argmax(1).numpy()
    state = dict(model.state_dict())
    for name in ("fc.weight", "fc.bias"):
        state[name] = state[name][[2, 0, 1]].contiguous()
    save_file(state, tmp_path / "turned.safetensors")
    field = data_example.image(8, 8, std=0.3)
    given = data_example.write_data(tmp_path, field, NAMES, validation=(images, labels))
    return given | {"user_weights": tmp_path / "turned.safetensors"}


def network() -> nn.Module:
    torch.manual_seed(0)
    return blueprint.build(
        image_blueprint(builder="resnet8", classes=3, channels=1, height=8, width=8)
    )


def run(given: dict[str, Path], folder: Path, progress: Silent, **words: Any) -> Made:
    context = Context(folder=folder, checkpoints=folder / "kept", seed=0, progress=progress)
    config = stage.LoadConfig.model_validate(
        {"model": "resnet8", "file_name": "t.safetensors", **words}
    )
    return stage.run(config, given, context)


def test_another_order_that_nobody_names_is_refused_with_the_cause(
    given: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        run(given, tmp_path, Silent())
    assert "classes are in another order" in caught.value.hint


def test_the_recipe_may_name_them(given: dict[str, Path], tmp_path: Path) -> None:
    made = run(given, tmp_path, Silent(), classes=("coat", "Ankle boot", "bag"))
    assert json.loads(made["score.json"].read_bytes())["score"] == 1.0
    with pytest.raises(InputError, match="got no 'bag' from the teacher"):
        run(given, tmp_path, Silent(), classes=("coat", "ankle boot", "shirt"))


def test_a_model_that_names_its_classes_is_put_in_order(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named(plan: Blueprint, *, allow_code: bool = False) -> nn.Module:
        model = real(plan, allow_code=allow_code)
        model.class_names = ("coat", "ankle boot", "bag")
        return model

    real, noted = blueprint.build, Noted()
    monkeypatch.setattr(blueprint, "build", named)
    made = run(given, tmp_path, noted)
    assert json.loads(made["score.json"].read_bytes())["score"] == 1.0
    assert any("in the data's order, by name" in note for note in noted.notes)
    monkeypatch.undo()
    again = blueprint.load(made["blueprint.json"], made["weights.safetensors"])
    assert again(torch.zeros(2, 1, 8, 8)).shape == (2, 3)


def test_a_checkpoint_as_it_lies_around(given: dict[str, Path], tmp_path: Path) -> None:
    state = {f"model.{name}": value for name, value in load_file(given["user_weights"]).items()}
    state["model.aux.weight"] = torch.zeros(3)
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": state, "hyper_parameters": argparse.Namespace(lr=0.1)}, path)
    given["user_weights"] = path
    words: dict[str, Any] = {"file_name": "last.ckpt", "classes": ("coat", "ankle boot", "bag")}
    with pytest.raises(InputError, match="extra: aux.weight") as caught:
        run(given, tmp_path, Silent(), **words)
    assert "allow: [extra]" in caught.value.hint
    noted = Noted()
    made = run(given, tmp_path, noted, **words, allow=("extra",))
    assert json.loads(made["score.json"].read_bytes())["score"] == 1.0
    assert noted.notes[:3] == [
        "last.ckpt: the weights are those under state_dict",
        "last.ckpt: model. is taken off the names of the weights",
        "last.ckpt: extra aux.weight: left out",
    ]


def test_what_is_missing_is_initialised_by_the_seed(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = load_file(given["user_weights"])
    del state["fc.bias"], state["fc.weight"]
    save_file(state, tmp_path / "body.safetensors")
    given["user_weights"] = tmp_path / "body.safetensors"
    monkeypatch.setattr("edgekd.learn.learner.require_better_than_chance", lambda *_, **__: None)
    made = []
    for number in range(2):
        torch.manual_seed(number)
        (tmp_path / str(number)).mkdir()
        files = run(given, tmp_path / str(number), Silent(), allow=("missing",))
        made.append(files["weights.safetensors"].read_bytes())
    assert made[0] == made[1]


def test_what_is_trained_further_gets_a_head_for_the_data_s_classes(
    given: dict[str, Path], tmp_path: Path
) -> None:
    state = load_file(given["user_weights"])
    for name in ("fc.weight", "fc.bias"):
        state[name] = torch.cat([state[name], 7 + state[name]])
    save_file(state, tmp_path / "six.safetensors")
    given["user_weights"] = tmp_path / "six.safetensors"
    with pytest.raises(InputError, match="weights have 6 classes, data has 3") as caught:
        run(given, tmp_path, Silent())
    assert "say train beside the weights" in caught.value.hint
    noted = Noted()
    names = ("dress", "sandal", "shirt", "BAG", "coat", "sneaker")
    made = run(given, tmp_path, noted, for_training=True, classes=names)
    assert set(made) == {"blueprint.json", "weights.safetensors"}
    found = load_file(made["weights.safetensors"])
    assert torch.equal(found["fc.bias"][1:], state["fc.bias"][3:5])
    assert torch.equal(found["conv1.weight"], state["conv1.weight"])
    assert noted.notes == [
        "t.safetensors: fc: its head of 6 classes is replaced by one of 3: bag, coat by name; "
        "1 other begins untrained"
    ]


def test_what_the_weights_were_trained_with_is_said_beside_what_the_data_are(
    given: dict[str, Path], tmp_path: Path
) -> None:
    wanted = {"mean": [0.5], "std": [0.25], "height": 16, "width": 16, "interpolation": "bicubic"}
    words = {"classes": ("coat", "ankle boot", "bag"), "preprocessing": wanted}
    noted = Noted()
    run(given, tmp_path, noted, **words)
    assert noted.notes[:3] == [
        "t.safetensors: mean 0.5 is that of its weights",
        "t.safetensors: its weights were trained with std 0.25; the data have 0.3",
        "t.safetensors: its weights were trained on 16x16 bicubic; the data have 8x8, and it sees them as they are",
    ]


def test_images_that_a_network_takes_alone_are_made_for_it(given: dict[str, Path]) -> None:
    from edgekd.learn import learner
    from edgekd.learn.model_settings import Input
    from edgekd.learn.model_settings import ModelChoice

    def made(said: Input | None = None, **expected: int) -> Blueprint:
        model = ModelChoice(name="resnet8", expects=Input(**expected))
        return learner.make_blueprint(model, given["data"], said)

    assert made(channels=1).inside is None
    assert made(channels=1, height=8, width=8).edits == ()
    larger = made(channels=3, height=16, width=16)
    assert larger.edits[0] == {"name": "adapt", "channels": 3, "height": 16, "width": 16}
    assert made(Input(height=12), channels=3).edits[0]["channels"] == 1  # the recipe's word counts


def read_texts(folder: Path, **words: Any) -> dict[str, Path]:
    """What the stage `data` gives of texts of two classes."""
    from edgekd.stages import data

    source = {"name": "jsonl", "reference": str(write_texts(folder / "texts.jsonl")), **words}
    config = data.DataConfig.model_validate({"source": source})
    made = folder / "data"
    made.mkdir()
    context = Context(folder=made, checkpoints=folder / "kept", seed=0, progress=Silent())
    found = data.run(config, {}, context)
    return {
        name.removesuffix(".json") if name == "data.json" else name: path
        for name, path in found.items()
    }


def test_a_text_model_reads_the_tokens_of_its_own_tokenizer_alone(tmp_path: Path) -> None:
    published = write_folder(tmp_path / "published")
    texts = read_texts(tmp_path, tokenizer=str(published))
    texts |= {"user_weights": published / "model.safetensors"}
    texts |= {stage.MODEL_TOKENIZER: published / "tokenizer.json"}
    words = {"model": f"transformers:{published}", "file_name": "bert", "for_training": True}
    noted = Noted()
    made = run(texts, tmp_path, noted, **words)
    assert noted.notes == ["bert: classifier begins untrained"]
    want = load_file(published / "model.safetensors")["encoder.layer.1.output.dense.weight"]
    got = load_file(made["weights.safetensors"])
    assert torch.equal(got["network.bert.encoder.layer.1.output.dense.weight"], want)
    with pytest.raises(InputError, match="1 tensor|2 tensors missing"):
        run(texts, tmp_path, Silent(), **words | {"for_training": False})
    own = tmp_path / "own.json"
    own.write_bytes(change(pieces(), normalizer__lowercase=False))
    with pytest.raises(InputError, match="another tokenizer than the model's: normalizer"):
        run(texts | {stage.MODEL_TOKENIZER: own}, tmp_path, Silent(), **words)
    del texts["tokenizer.json"]
    with pytest.raises(InputError, match="got texts as bytes") as caught:
        run(texts, tmp_path, Silent(), **words)
    assert "tokenizer: FOLDER" in (caught.value.hint or "")
