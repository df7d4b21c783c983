"""A blueprint and weights give the model back; what is wrong is one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.interface import image_classifier
from edgekd.interface import to_json
from edgekd.learn import blueprint as blueprints
from edgekd.learn.blueprint import Blueprint
from tests.learn.blueprint_example import image_blueprint

RESNET = image_blueprint(
    builder="resnet8", arguments={"base": 4}, classes=3, channels=1, height=8, width=8
)

ENDS = to_json(RESNET.interface)
IMAGES = ENDS["inputs"][0]
WRONG_ENDS: tuple[dict[str, Any], ...] = (
    {"sizes": {"classes": 0}},
    {"sizes": {"classes": "3"}},
    {"sizes": {"classes": True}},
    {"axes": [{"name": "batch", "least": 0}]},
    {"axes": [{"name": "batch", "usual": 2, "most": 1}]},
    {"inputs": []},
    {"outputs": [IMAGES]},
    {"inputs": [{**IMAGES, "shape": ["batch", 1, 8, -8]}]},
    {"inputs": [{**IMAGES, "shape": [2, 1, 8, 8]}]},
    {"inputs": [{**IMAGES, "shape": ["batch", "tokens"]}]},
    {"inputs": [{**IMAGES, "shape": ["batch", 2**31, 2**31, 2**31]}]},
    {"inputs": [{**IMAGES, "shape": ["batch"] + [1] * 20}]},
    {"inputs": [{**IMAGES, "name": "a\u202eb"}]},
    {"inputs": [{**IMAGES, "dtype": "object"}]},
    {"inputs": [{**IMAGES, "kind": "secret"}]},
    {"inputs": [{**IMAGES, "more": 1}]},
    {"inputs": [IMAGES, IMAGES]},
)


def python(name: str, **changes: Any) -> Blueprint:
    return RESNET.model_copy(
        update={"builder": "python", "arguments": {"reference": f"user_models:{name}"}, **changes}
    )


@pytest.fixture
def user_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of a user's, which touches a file when it is imported."""
    (tmp_path / "user_models.py").write_text(
        f"""
import pathlib
import torch
from torch import nn
pathlib.Path({str(tmp_path / "imported")!r}).touch()

def linear(*, classes, channels, height, width):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, classes))

def wide(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes + 1))

class Tied(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.b = nn.Linear(64, 64)
        self.a = nn.Linear(64, 64)
        self.a.weight = self.b.weight
        self.out = nn.Linear(64, classes).double()
    def forward(self, x):
        return self.out(self.a(self.b(x.flatten(1))).double()).float()

def tied(classes):
    return Tied(classes)
"""
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "user_models", raising=False)
    return tmp_path / "imported"


def line(blueprint: Blueprint, kind: type[Exception] = InputError, **options: bool) -> str:
    with pytest.raises(kind) as caught:
        blueprints.build(blueprint, **options)
    text = caught.value.line()  # type: ignore[attr-defined]
    assert "\n" not in text
    return str(text)


def saved(model: nn.Module, blueprint: Blueprint, folder: Path) -> dict[str, Path]:
    folder.mkdir()
    return blueprints.save(model, blueprint, folder)


@pytest.mark.parametrize("name", ["resnet8", "wrn-16-1", "shufflenetv2"])
def test_save_load_save_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    blueprint = RESNET.model_copy(update={"builder": name, "arguments": {}})
    model = blueprints.build(blueprint)
    model(torch.randn(8, 1, 8, 8))
    first = saved(model, blueprint, tmp_path / "first")
    assert list(first) == ["blueprint.json", "weights.safetensors"]
    again = blueprints.load(*first.values())
    second = saved(again, blueprints.read(first["blueprint.json"]), tmp_path / "second")
    for file in first:
        assert first[file].read_bytes() == second[file].read_bytes()
    images = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(model.eval()(images), again(images))


def test_loading_leaves_the_random_numbers_alone(tmp_path: Path) -> None:
    files = saved(blueprints.build(RESNET), RESNET, tmp_path / "model")
    torch.manual_seed(3)
    want = torch.rand(4)
    torch.manual_seed(3)
    model = blueprints.load(*files.values())
    assert torch.equal(torch.rand(4), want)
    assert not model.training


def test_the_order_of_arguments_does_not_show(tmp_path: Path) -> None:
    texts = []
    for index, arguments in enumerate(({"base": 4, "depth": 8}, {"depth": 8, "base": 4})):
        blueprint = RESNET.model_copy(update={"arguments": arguments})
        torch.manual_seed(0)
        files = saved(blueprints.build(blueprint), blueprint, tmp_path / str(index))
        texts.append([path.read_bytes() for path in files.values()])
    assert texts[0] == texts[1]


def test_tied_weights_are_stored_once_as_float32(user_models: Path, tmp_path: Path) -> None:
    blueprint = python("tied")
    model = blueprints.build(blueprint, allow_code=True)
    files = saved(model, blueprint, tmp_path / "model")
    stored = safetensors.torch.load_file(files["weights.safetensors"])
    assert set(stored) == {"a.weight", "a.bias", "b.bias", "out.weight", "out.bias"}
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}
    again = blueprints.load(*files.values(), allow_code=True)
    assert again.a.weight is again.b.weight
    assert torch.equal(again.b.weight, model.b.weight)
    assert again.out.weight.dtype == torch.float64


def test_code_runs_only_when_allowed(user_models: Path) -> None:
    assert "--allow-code" in line(python("linear"))
    assert not user_models.exists()
    assert isinstance(blueprints.build(python("linear"), allow_code=True), nn.Module)
    assert user_models.exists()


def test_a_blueprint_cannot_allow_itself_code(user_models: Path) -> None:
    arguments = {"reference": "user_models:linear", "allow_code": True}
    assert "unknown key 'allow_code'" in line(python("linear", arguments=arguments))
    assert not user_models.exists()


def test_a_model_that_does_not_fit_the_data(user_models: Path) -> None:
    got = line(python("wide"), allow_code=True)
    assert got == "python: got [2, 4] from images [2, 1, 8, 8], want logits [2, 3]"
    assert "cannot take images [2, 1, 9, 9]" in line(
        python("wide", interface=image_classifier(classes=3, channels=1, height=9, width=9)),
        allow_code=True,
    )


@pytest.mark.parametrize(
    "changes, want",
    [
        ({"builder": "resnet9"}, "did you mean 'resnet8'?"),
        ({"arguments": {"bass": 4}}, "did you mean 'base'?"),
        ({"arguments": {"base": 0}}, "base: got 0"),
        ({"arguments": {"base": "wide"}}, "base: got 'wide'"),
        ({"arguments": {"depth": 9}}, "depth: got 9, want 6 n + 2"),
        ({"edits": ({"name": "melt"},)}, "unknown edit 'melt'"),
        ({"edits": ({"name": "prune"},)}, "edit prune: layers: Field required"),
    ],
)
def test_wrong_blueprints(changes: dict[str, Any], want: str) -> None:
    assert want in line(RESNET.model_copy(update=changes))


@pytest.mark.parametrize(
    "change",
    [
        {"interface": None},
        {"interface": {}},
        *({"interface": {**ENDS, **change}} for change in WRONG_ENDS),
        {"builder": None},
        {"unknown": 1},
        {"arguments": {"base": [4]}},
        {"edits": {}},
    ],
)
def test_wrong_files(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "blueprint.json"
    path.write_text(json.dumps({**RESNET.model_dump(mode="json"), **change}))
    with pytest.raises(InputError, match="blueprint.json: "):
        blueprints.read(path)
    path.write_text("{")
    with pytest.raises(InputError, match="blueprint.json: "):
        blueprints.read(path)


def test_weights_of_another_number_of_classes(tmp_path: Path) -> None:
    more = image_classifier(classes=100, channels=1, height=8, width=8)
    many = RESNET.model_copy(update={"interface": more})
    files = saved(blueprints.build(many), many, tmp_path / "many")
    few = saved(blueprints.build(RESNET), RESNET, tmp_path / "few")
    with pytest.raises(InputError, match="weights have 100 classes, data has 3"):
        blueprints.load(few["blueprint.json"], files["weights.safetensors"])


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    timm = RESNET.model_copy(update={"builder": "timm", "arguments": {"reference": "resnet18"}})
    assert line(timm, MachineError).endswith("(pip install 'edgekd[timm]')")


ODD = {
    "Parameterless": "without parameters",
    "Integers": "got logits of torch.int64",
    "ComplexWeights": "phase: got a tensor of torch.complex64",
    "SparseBuffer": "mask: got a tensor of torch.float32, torch.sparse_coo",
    "ExtraState": "_extra_state: got dict in its state",
    "NeverUsedLazy": "head.weight: got no shape",
    "FailsInTraining": "in training mode: cannot take images [2, 1, 8, 8]: no such thing",
    "NothingInTraining": "in training mode: got NoneType from images",
    "FeaturesFirst": "in training mode: got [2, 64] from images [2, 1, 8, 8], want logits [2, 3]",
}


def odd(name: str) -> Blueprint:
    arguments = {"reference": f"tests.odd_models_example:{name}"}
    return RESNET.model_copy(update={"builder": "python", "arguments": arguments})


@pytest.mark.parametrize("name", ODD)
def test_a_trait_that_cannot_be_is_named(name: str) -> None:
    with pytest.raises(InputError) as caught:
        blueprints.build(odd(name), allow_code=True)
    assert ODD[name] in caught.value.line() and "\n" not in caught.value.line()


@pytest.mark.parametrize("name", ["Lazy", "Auxiliary"])
def test_what_is_odd_but_sound_is_built_stored_and_loaded(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = blueprints.build(odd(name), allow_code=True)
    assert torch.equal(model.norm.running_mean, torch.zeros(3))  # looked at without a trace
    assert isinstance(model(torch.randn(2, 1, 8, 8)), torch.Tensor)
    files = blueprints.save(model, odd(name), tmp_path)
    again = blueprints.load(*files.values(), allow_code=True)
    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(model.eval()(images), again(images))


def test_looking_at_training_draws_nothing() -> None:
    torch.manual_seed(0)
    blueprints.build(odd("Auxiliary"), allow_code=True)
    after = torch.rand(1)
    torch.manual_seed(0)
    from tests.odd_models_example import Auxiliary

    Auxiliary(3)
    assert torch.equal(torch.rand(1), after)


TWO_ENDS = Interface(
    (
        Tensor("images", "float32", ("batch", 1, 4, 4)),
        Tensor("rows", "float32", ("batch", 3)),
    ),
    (
        Tensor("scores", "float32", ("batch", 2), "logits", class_axis=1, target="labels"),
        Tensor("boxes", "float32", ("batch", 4), target="boxes"),
    ),
)
TWO_SOURCE = """
import torch
from torch import nn
class Two(nn.Module):
    def __init__(self, gives):
        super().__init__()
        self.scores, self.boxes, self.gives = nn.Linear(16, 2), nn.Linear(3, 4), gives
    def forward(self, images, rows):
        scores, boxes = self.scores(images.flatten(1)), self.boxes(rows)
        return self.gives(scores, boxes)
def in_order(): return Two(lambda s, b: (s, b))
def listed(): return Two(lambda s, b: [s, b])
def named(): return Two(lambda s, b: {"boxes": b, "loss": b.sum(), "scores": s})
def one(): return Two(lambda s, b: s)
def three(): return Two(lambda s, b: (s, b, b))
def swapped(): return Two(lambda s, b: (b, s))
def misnamed(): return Two(lambda s, b: {"score": s, "boxes": b})
def integers(): return Two(lambda s, b: (s, b.long()))
"""


@pytest.fixture
def two_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "two_ends_models.py").write_text(TWO_SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))


def of_two_ends(name: str) -> nn.Module:
    arguments = {"reference": f"two_ends_models:{name}"}
    plan = Blueprint(builder="python", arguments=arguments, interface=TWO_ENDS)
    return blueprints.build(plan, allow_code=True)


@pytest.mark.parametrize("name", ["in_order", "listed", "named"])
@pytest.mark.usefixtures("two_ends")
def test_several_outputs_come_in_the_interface_s_order(name: str) -> None:
    scores, boxes = of_two_ends(name)(torch.zeros(3, 1, 4, 4), torch.zeros(3, 3))
    assert scores.shape == (3, 2) and boxes.shape == (3, 4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("one", "got 1 output from .*, want scores, boxes"),
        ("three", "got 3 outputs from .*, want scores, boxes"),
        ("swapped", r"got \[2, 4\] from .*, want scores \[2, 2\]"),
        ("misnamed", "got outputs score, boxes from .*, want scores, boxes"),
        ("integers", "got boxes of torch.int64, want floating-point numbers"),
    ],
)
@pytest.mark.usefixtures("two_ends")
def test_outputs_that_do_not_fit_are_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        of_two_ends(name)
    assert "\n" not in str(caught.value)
