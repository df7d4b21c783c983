from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from edgekd import recipe
from edgekd.errors import InputError
from edgekd.recipe import text as recipe_text

PLAIN = """\
name: plain
data: {source: {name: digits}}
teacher: {model: {name: resnet20}}
student:
  model: resnet8
  train: {learning_rate: 0.05, weight_decay: 0.001, batch_size: 64, optimizer: adamw}
learn:
  - step: distil
    losses: [{name: kd, temperature: 2.0}]
targets:
  - {runtime: onnxruntime, precision: [fp32], threads: [2]}
"""
BRIEF = """\
name: plain
data: digits
teacher: resnet20
student:
  model: resnet8
  train: {learning_rate: 0.05, weight_decay: 0.001, batch_size: 64, optimizer: adamw}
learn: {step: distil, losses: {name: kd, temperature: 2.0}}
targets: {runtime: onnxruntime, precision: fp32, threads: 2}
"""
OTHERWISE = """\
name: plain
dataset: Digits
teacher: ResNet-20
student:
  model: {name: ResNet8}
  train: {lr: 0.05, wd: 0.001, bs: 64, optim: AdamW}
learn: {step: distill, loss: {name: KD, T: 2.0}}
target: {engine: ort, precision: FP32, num_threads: 2}
"""


def loaded(text: str, *settings: str) -> recipe.Recipe:
    document = recipe_text.parse(text, ".yaml", "r.yaml")
    return recipe.validate(recipe_text.override(document, settings))


@pytest.mark.parametrize("text", [BRIEF, OTHERWISE])
def test_what_means_the_same_is_the_same_recipe(text: str) -> None:
    assert loaded(text).model_dump_json() == loaded(PLAIN).model_dump_json()


def test_the_schema_takes_what_stands_alone() -> None:
    validator = jsonschema.Draft202012Validator(recipe.schema())
    for text in (PLAIN, BRIEF):
        value = recipe_text.parse(text, ".yaml", "r.yaml").value
        assert not list(validator.iter_errors(value))
        assert validator.is_valid({**value, "learn": "quantize"})
        assert not validator.is_valid({**value, "targets": "tflite"})
        assert not validator.is_valid({**value, "teacher": "resnet21"})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("teacher.model", "torchvision:resnet18", "write resnet18-imagenet"),
        ("teacher.model", "torchvision:resnet101", "write timm:resnet101 "),
        ("teacher.model", "torchvision:mobilenet_v2", "write mobilenetv2-imagenet"),
        ("teacher.model", "resnet101", "write timm:resnet101 "),
        ("teacher", "efficientnet_b0", "write timm:efficientnet_b0 "),
        ("learn.0.losses", "kl", "write kd, "),
        ("learn.0.losses.0", "{name: kd, alpha: 0.9}", "write a weight beside each loss"),
        ("targets", "tflite", "write onnxruntime or openvino"),
        (
            "targets.0.precision",
            "fp33",
            "want 'fp32', 'bf16', 'fp16', 'int8', 'int8-bf16' or 'int4'",
        ),
        ("data", "mnist", "write fashion-mnist or digits"),
        ("learn", "ptq", "write quantize, and train: null beside it"),
        ("student.train.bs", "64", "got it beside 'batch_size', want one of them"),
        ("student.train.amp", "true", "write precision: bf16"),
        ("student.train.schedule", "plateau", "write cosine"),
        ("student.train.optimizer", "LBFGS", "it asks for the loss several times a step"),
        ("student.train.optimizer", "{name: adam, alpha: 0.9}", "got unknown key, one of: "),
        ("num_classes", "10", "leave it out"),
    ],
)
def test_another_word_is_answered_with_the_one_to_write(key: str, value: str, message: str) -> None:
    document = recipe_text.parse(PLAIN, ".yaml", "r.yaml")
    document = recipe_text.override(document, [f"{key}={value}"])
    if key == "student.train.bs":  # both in the file
        document = document._replace(places=dict.fromkeys(document.places, "r.yaml"))
    with pytest.raises(InputError) as fault:
        recipe.validate(document)
    assert message in str(fault.value) and len(str(fault.value)) < 200
    assert key.split(".")[0] in str(fault.value)


def test_an_optimizer_and_its_knobs() -> None:
    found = loaded(PLAIN, "student.train.optimizer={name: RMSprop, alpha: 0.5}")
    assert found == loaded(PLAIN, "student.train.optimizer={name: rms_prop, alpha: 0.5}")
    assert loaded(PLAIN, "student.train.optimizer=SGD").student.train.optimizer == "sgd"
    validator = jsonschema.Draft202012Validator(recipe.schema())
    value = recipe_text.parse(PLAIN, ".yaml", "r.yaml").value
    for choice, fits in (
        ("adam", True),
        ({"name": "adam", "betas": [0.9, 0.99]}, True),
        ({"name": "adam", "alpha": 0.9}, False),
        ("lbfgs", False),
    ):
        value["student"]["train"]["optimizer"] = choice
        assert validator.is_valid(value) is fits, choice


def test_what_is_set_counts_over_the_same_key_by_another_name() -> None:
    assert loaded(PLAIN, "student.train.lr=0.5").student.train.learning_rate == 0.5
    assert loaded(OTHERWISE, "student.train.learning_rate=0.5").student.train.learning_rate == 0.5


def test_a_set_value_finds_its_place_in_a_list_that_was_left_out(tmp_path: Any) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(BRIEF)
    found = recipe.load(path, ["targets.0.threads=4", "learn.0.losses.0.temperature=3.0"])
    assert found.targets[0].threads == (4,)
    assert found.steps[0].losses[0].loss.arguments["temperature"] == 3.0


def test_a_fault_is_told_where_it_was_written() -> None:
    with pytest.raises(InputError, match=r"r\.yaml:6: student\.train\.learning_rate: got -1"):
        loaded(OTHERWISE.replace("lr: 0.05", "lr: -1"))


def test_a_path_where_a_source_is_wanted_is_told_what_looks_at_it(tmp_path: Any) -> None:
    with pytest.raises(InputError, match="got a path, want SOURCE:PATH, which edgekd sources "):
        loaded(PLAIN, f"data.source={tmp_path}")
    with pytest.raises(InputError, match="got unknown data source 'a"):
        loaded(PLAIN, 'data.source="a\\tb"')
