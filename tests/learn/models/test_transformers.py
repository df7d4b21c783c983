"""transformers: built from a configuration alone, which the saved blueprint then holds."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.interface import image_classifier
from edgekd.learn import blueprint as blueprints
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.method import outputs
from tests.learn.blueprint_example import image_blueprint

pytest.importorskip("transformers")
try:
    import torchvision  # noqa: F401
except ModuleNotFoundError:
    pass  # transformers does without
except RuntimeError:
    pytest.skip("torchvision is built for another torch", allow_module_level=True)

RESNET = {
    "model_type": "resnet",
    "embedding_size": 8,
    "hidden_sizes": [8, 16],
    "depths": [1, 1],
    "layer_type": "basic",
    "num_labels": 30,
    "num_channels": 5,
}
VIT = {
    "model_type": "vit",
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "patch_size": 4,
    "image_size": 224,
}


def described(folder: Path, fields: Any) -> Blueprint:
    (folder / "config.json").write_text(json.dumps(fields))
    return image_blueprint(
        builder="transformers",
        arguments={"reference": str(folder)},
        classes=3,
        channels=1,
        height=16,
        width=16,
    )


def line(kind: type[EdgekdError], blueprint: Blueprint) -> str:
    with pytest.raises(kind) as caught:
        blueprints.build(blueprint)
    assert "\n" not in caught.value.line()
    return caught.value.line()


@pytest.mark.parametrize("fields", [RESNET, VIT], ids=["resnet", "vit"])
def test_the_folder_is_not_needed_again(fields: dict[str, Any], tmp_path: Path) -> None:
    blueprint = described(tmp_path, fields)
    model = blueprints.build(blueprint)
    files = blueprints.save(model, blueprint, tmp_path)
    (tmp_path / "config.json").unlink()
    assert str(tmp_path) not in files["blueprint.json"].read_text()
    again = blueprints.load(*files.values())
    images = torch.randn(2, 1, 16, 16)
    with torch.no_grad():
        assert torch.equal(model.eval()(images), again(images))


def test_parameters_bear_the_packages_names(tmp_path: Path) -> None:
    blueprint = described(tmp_path, RESNET)
    files = blueprints.save(blueprints.build(blueprint), blueprint, tmp_path)
    names = set(safetensors.torch.load_file(files["weights.safetensors"]))
    assert {"classifier.1.weight", "resnet.embedder.embedder.convolution.weight"} <= names


@pytest.mark.parametrize(
    "fields, want",
    [
        ({"model_type": "nobodys"}, "want a plain image classifier"),
        ({"model_type": "bert"}, "want a plain image classifier"),
        (
            {"model_type": "timm_wrapper", "architecture": "resnet18"},
            "want a plain image classifier",
        ),
        ({**RESNET, "depths": "two"}, "transformers cannot build it"),
        ({**RESNET, "auto_map": {"AutoConfig": "own.py"}}, "brings its own code"),
        ({**RESNET, "custom_pipelines": {}}, "brings its own code"),
        (
            {**RESNET, "attn_implementation": "someone/kernel"},
            "attn_implementation: got 'someone/kernel'",
        ),
        (
            {**RESNET, "x": {"y": [{"url": "https://a.b"}]}},
            "x.y.0.url: got 'https://a.b', want a number",
        ),
        ({**RESNET, "x": {"a.b": 1}}, "x: got 'a.b', want a number"),
        ({**RESNET, "x": [[[[[1]]]]]}, "nests too deeply"),
        ({"hidden_sizes": [8]}, "without model_type"),
        ([1], "without model_type"),
    ],
)
def test_wrong_configurations(fields: Any, want: str, tmp_path: Path) -> None:
    assert want in line(InputError, described(tmp_path, fields))


def test_what_the_model_type_does_not_declare_is_not_handed_on(tmp_path: Path) -> None:
    beside = {"attn_implementation": "flash_attention_2", "return_dict": False, "dtype": "float16"}
    beside |= {"_name_or_path": "microsoft/resnet-18", "torch_dtype": "float32", "x": 1}
    model = blueprints.build(described(tmp_path, RESNET | beside))
    kept = json.loads(model.blueprint_arguments["config"])
    assert kept == {key: RESNET[key] for key in RESNET if key not in ("num_labels", "num_channels")}
    assert next(model.parameters()).dtype == torch.float32


def test_a_model_type_by_its_name(tmp_path: Path) -> None:
    named = described(tmp_path, {}).model_copy(update={"arguments": {"reference": "resnett"}})
    assert "got no such model type (did you mean 'resnet'?)" in line(InputError, named)
    known = named.model_copy(update={"arguments": {"reference": "data2vec-vision"}})
    with torch.device("meta"):
        assert "Data2Vec" in type(blueprints.build(known)).__name__


@pytest.mark.parametrize("kind", ["deit", "levit", "hiera"])
def test_types_with_several_classifiers_or_another_form_of_size(kind: str, tmp_path: Path) -> None:
    named = described(tmp_path, {})
    interface = image_classifier(classes=3, channels=3, height=224, width=224)
    known = named.model_copy(update={"arguments": {"reference": kind}, "interface": interface})
    with torch.device("meta"):
        assert kind in type(blueprints.build(known)).__name__.lower()


def test_a_distilled_classifier_is_the_one_that_the_checkpoint_names(tmp_path: Path) -> None:
    named = "DeiTForImageClassificationWithTeacher"
    fields = {**VIT, "model_type": "deit", "architectures": [named]}
    blueprint = described(tmp_path, fields)
    model = blueprints.build(blueprint)
    assert type(model).__name__ == named and "distillation_classifier.weight" in model.state_dict()
    outputs.require_auxiliary(model, (torch.zeros(2, 1, 16, 16),))
    files = blueprints.save(model, blueprint, tmp_path)
    assert type(blueprints.load(*files.values())).__name__ == named


def test_no_configuration(tmp_path: Path) -> None:
    blueprint = described(tmp_path, RESNET)
    (tmp_path / "config.json").write_text("{")
    assert "no JSON" in line(InputError, blueprint)
    (tmp_path / "config.json").unlink()
    assert "got no config.json there" in line(InputError, blueprint)


def test_a_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    got = line(MachineError, described(tmp_path, RESNET))
    assert got == "transformers: transformers is not installed (pip install 'edgekd[hub]')"


def test_the_names_of_the_classes_are_kept_in_the_checkpoint_s_order(tmp_path: Path) -> None:
    named = {"id2label": {"0": "shoe", "1": "bag", "2": "coat"}}
    for fields, want in ((RESNET | named, ("shoe", "bag", "coat")), (RESNET, ())):
        assert blueprints.build(described(tmp_path, fields)).class_names == want
