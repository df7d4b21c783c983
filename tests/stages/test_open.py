"""Files of weights are opened before anything else, and fitted to their models as far as that needs no data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from edgekd.errors import InputError
from edgekd.learn import blueprint
from edgekd.learn.model_settings import Input
from edgekd.learn.models import MODELS
from edgekd.named_member import NamedMember
from edgekd.progress import Silent
from edgekd.report import tables
from edgekd.stage import Context
from edgekd.stages import open as open_stage
from tests.learn.blueprint_example import image_blueprint

OURS = {"name": "resnet8", "base": 4}


def state(**other: Any) -> dict[str, torch.Tensor]:
    said = {"classes": 5, "channels": 2, "height": 12, "width": 12, "arguments": {"base": 4}}
    plan = image_blueprint(builder="resnet8", **{**said, **other})
    return blueprint.build(plan).state_dict()


def run(folder: Path, tensors: object, model: Any = OURS, **other: Any) -> dict[str, Any]:
    path = folder / "w.pt"
    torch.save(tensors, path)
    said: dict[str, Any] = {"input": None, "classes": (), "allow": (), "classifies_images": True}
    config = open_stage.OpenConfig(
        model=NamedMember.parse(model, MODELS, "model"), file_name=path.name, **{**said, **other}
    )
    context = Context(folder=folder, checkpoints=folder, seed=0, progress=Silent())
    made = open_stage.run(config, {"user_weights": path}, context)
    assert not tables.FILES & made.keys(), "the report would take it for a table"
    found: dict[str, Any] = json.loads(made["weights.json"].read_bytes())
    return found


def test_what_depends_on_the_data_is_not_asked_yet(tmp_path: Path) -> None:
    tensors = state()
    found = run(tmp_path, {"state_dict": {f"model.{name}": x for name, x in tensors.items()}})
    assert found["tensors"] == len(tensors)
    assert found["numbers"] == sum(tensor.numel() for tensor in tensors.values())
    assert found["notes"] == ["the weights are those under state_dict"]


@pytest.mark.parametrize(
    ("tensors", "other", "message"),
    [
        (state(arguments={"base": 8}), {}, r"w\.pt: the weights do not fit .* of wrong shape: "),
        ({**state(), "aux": torch.ones(1)}, {}, "1 tensor extra: aux"),
        (dict(list(state().items())[:-2]), {}, "2 tensors missing: "),
        (state(), {"classes": ("a", "b")}, "weights have 5 classes, data has 2"),
        (state(), {"input": Input(channels=3)}, r"1 tensor of wrong shape: .*\[4, 2, 3, 3\] for"),
        ({"model": torch.nn.Linear(1, 1)}, {}, "got a whole model"),
    ],
)
def test_what_can_be_told_without_data_is_told(
    tmp_path: Path, tensors: object, other: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(tmp_path, tensors, **other)


def test_what_is_allowed_and_what_cannot_be_built_without_data_passes(tmp_path: Path) -> None:
    run(tmp_path, {**state(), "aux": torch.ones(1)}, allow=("extra",))
    run(tmp_path, {"x": torch.ones(1)}, classifies_images=False)


def test_the_generator_is_left_as_it_was(tmp_path: Path) -> None:
    tensors, before = state(), torch.get_rng_state()
    run(tmp_path, tensors)
    assert torch.equal(torch.get_rng_state(), before)
