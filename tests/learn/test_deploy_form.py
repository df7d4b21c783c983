"""Branches for training become one layer, to the same answers; what does not stay is left and named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import image_classifier
from edgekd.learn import blueprint
from edgekd.learn import deploy_form
from edgekd.learn.edits import deploy
from edgekd.learn.quant import insertion
from edgekd.learn.quant import post_training
from edgekd.profile import NUMERICS
from edgekd.progress import Silent
from tests.learn.blueprint_example import image_blueprint

IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
ENDS = image_classifier(classes=4, channels=3, height=8, width=8)


class Branches(nn.Module):
    """Two convolutions whose sum is one (RepVGG: Ding et al. 2021, arXiv:2101.03697)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.square = nn.Conv2d(channels, 8, 3, padding=1)
        self.point = nn.Conv2d(channels, 8, 1)
        self.merged: nn.Module | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.merged is not None:
            return self.merged(x).relu()
        return (self.square(x) + self.point(x)).relu()

    def _merge(self, share: float = 1.0) -> None:
        merged = nn.Conv2d(self.square.in_channels, 8, 3, padding=1)
        point = nn.functional.pad(self.point.weight, (1, 1, 1, 1))
        merged.weight.data = self.square.weight.data + share * point.data
        merged.bias = nn.Parameter(self.square.bias + self.point.bias)  # type: ignore[operator]
        self.merged = merged
        del self.square, self.point


class Reparameterized(Branches):
    def reparameterize(self) -> None:
        self._merge()


class Switched(Branches):
    def switch_to_deploy(self) -> None:
        self._merge()


class Fused(Branches):
    def fuse(self) -> nn.Module:
        self._merge()
        assert self.merged is not None
        return nn.Sequential(self.merged, nn.ReLU())


class Wrong(Branches):
    def reparameterize(self) -> None:
        self._merge(0.9)


class Raising(Branches):
    def reparameterize(self) -> None:
        raise KeyError("no")


class Asking(Branches):
    def fuse(self, how: str) -> nn.Module:
        raise AssertionError(how)


class Net(nn.Module):
    def __init__(
        self, kind: type[Branches] = Reparameterized, classes: int = 4, channels: int = 3
    ) -> None:
        super().__init__()
        self.first, self.second = Reparameterized(channels), kind(8)
        self.fc = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.second(self.first(x)).mean((2, 3)))


class Single(Net):
    """Of one channel and three classes."""

    def __init__(self) -> None:
        super().__init__(classes=3, channels=1)


def made(kind: type[Branches]) -> Net:
    torch.manual_seed(0)
    return Net(kind).eval()


@pytest.mark.parametrize("kind", [Reparameterized, Switched, Fused])
def test_branches_become_one_layer_with_the_same_answers(kind: type[Branches]) -> None:
    model = made(kind)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = deploy_form.to_deploy_form(model, IMAGES)
    assert found.paths == ("first", "second") and found.left == ()
    assert found.convolutions == (4, 2) and found.difference < 1e-12
    with torch.no_grad():
        torch.testing.assert_close(found.model(IMAGES), model(IMAGES), rtol=1e-5, atol=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("kind", [Wrong, Raising])
def test_a_form_that_fails_or_answers_otherwise_is_left_and_named(kind: type[Branches]) -> None:
    model = made(kind)
    found = deploy_form.to_deploy_form(model, IMAGES)
    assert found.paths == ("first",) and found.left == ("second",)
    assert found.convolutions == (4, 3)
    with torch.no_grad():
        torch.testing.assert_close(found.model(IMAGES), model(IMAGES), rtol=1e-5, atol=1e-6)


def test_the_blueprint_says_what_was_merged_and_the_user_is_told() -> None:
    class Heard(Silent):
        said: list[str] = []

        def note(self, text: str) -> None:
            self.said.append(text)

    plan = image_blueprint(builder="resnet8", classes=4, channels=3, height=8, width=8)
    model, said = deploy_form.merge_branches(made(Reparameterized), plan, Heard())
    assert [edit["name"] for edit in said.edits] == ["deploy"] and hasattr(model, "first")
    assert Heard.said[0].startswith("deploy form: 2 modules merged, 2 convolutions in place of 4")
    plain = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    assert (
        deploy_form.merge_branches(plain, plan, Heard()) == (plain, plan) and len(Heard.said) == 1
    )


def test_a_model_without_such_modules_is_given_back() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    found = deploy_form.to_deploy_form(model, IMAGES)
    assert found.model is model and found.edits() == () and found.summary()["modules"] == 0
    assert deploy_form.to_deploy_form(made(Asking), IMAGES).paths == ("first",)


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    plan = image_blueprint(
        builder="python",
        arguments={"reference": "tests.learn.test_deploy_form:Net"},
        classes=4,
        channels=3,
        height=8,
        width=8,
    )
    found = deploy_form.to_deploy_form(made(Reparameterized), IMAGES)
    changed = plan.model_copy(update={"edits": found.edits()})
    paths = blueprint.save(found.model, changed, tmp_path)
    again = blueprint.load(paths["blueprint.json"], paths["weights.safetensors"], allow_code=True)
    with torch.no_grad():
        assert torch.equal(again(IMAGES), found.model(IMAGES))
    for path in ("fc", "no.such"):
        bad = plan.model_copy(update={"edits": ({"name": "deploy", "paths": [path]},)})
        with pytest.raises(InputError, match=f"{path}: no module with a deploy form"):
            blueprint.build(bad, allow_code=True)


def test_the_model_s_own_method_can_be_replayed() -> None:
    assert isinstance(deploy.merge_module(Fused(3), ""), nn.Sequential)


def test_merged_then_quantized_it_is_given_back_by_its_blueprint(tmp_path: Path) -> None:
    form = deploy_form.to_deploy_form(made(Reparameterized), IMAGES)
    numerics = NUMERICS["asymmetric"]
    started = post_training.quantize(form.model, ENDS, numerics, lambda: [(IMAGES,)])
    assert set(insertion.find_weight_quantizers(started.model)) == {
        "first.merged",
        "second.merged",
        "fc",
    }
    plan = image_blueprint(
        builder="python",
        arguments={"reference": "tests.learn.test_deploy_form:Net"},
        edits=(*form.edits(), {"name": "quantize", "scheme": "asymmetric"}),
        classes=4,
        channels=3,
        height=8,
        width=8,
    )
    paths = blueprint.save(started.model, plan, tmp_path)
    again = blueprint.load(paths["blueprint.json"], paths["weights.safetensors"], allow_code=True)
    with torch.no_grad():
        assert torch.equal(again(IMAGES), started.model(IMAGES))


class TwoOutputs(nn.Module):
    """Two outputs, each through branches of its own; those of the second cannot be merged."""

    def __init__(self) -> None:
        super().__init__()
        self.right, self.wrong = Reparameterized(3), Wrong(3)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.right(images).mean((2, 3)), self.wrong(images).mean((2, 3))


def test_every_output_is_compared() -> None:
    torch.manual_seed(0)
    form = deploy_form.to_deploy_form(TwoOutputs().eval(), IMAGES)
    assert form.paths == ("right",) and form.left == ("wrong",)
