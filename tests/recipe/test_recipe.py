from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from edgekd import recipe
from edgekd.errors import InputError

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((*(ROOT / "pipelines").glob("*.yaml"), *(ROOT / "examples").glob("*/*.yaml")))
SMALL = """\
name: small
data: {source: digits}
teacher: {model: resnet20}
student: {model: {name: resnet8, base: 8}}
learn:
  - step: distil
    losses:
      - {name: kd, weight: 0.9, temperature: 2}
      - cross-entropy
targets:
  - runtime: onnxruntime
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def complaint(path: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        recipe.load(path, overrides)
    return caught.value.line().replace(f"{path.parent}/", "").replace(recipe_label(path), path.name)


def recipe_label(path: Path) -> str:
    from edgekd.recipe.text import file_label

    return file_label(path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_shipped_recipes_load(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(path.parent))  # of recipes with code beside them
    loaded = recipe.load(path)
    assert path.parent.name != "pipelines" or loaded.name == path.stem
    assert recipe.Recipe.model_validate(loaded.model_dump()) == loaded


def test_what_is_said_and_what_is_left_out(small: Path) -> None:
    loaded = recipe.load(small)
    kd, labels = loaded.learn[0].losses
    assert (kd.loss.name, kd.weight, kd.loss.arguments) == ("kd", 0.9, {"temperature": 2.0})
    assert (labels.loss.name, labels.weight) == ("cross-entropy", 1.0)
    assert loaded.student.model.arguments["base"] == 8
    assert loaded.learn[0].knowledge == "auto" and loaded.learn[0].train is None
    assert loaded.targets[0].precision == "auto" and loaded.targets[0].threads == (1,)
    assert (loaded.seed, loaded.export.opset, loaded.export.golden) == (0, 18, 64)


def test_a_recipe_is_frozen_and_its_keys_do_not_depend_on_how_it_is_written(
    small: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(
        'name = "small"\ndata.source = "digits"\nteacher.model = "resnet20"\n'
        'student.model = {name = "resnet8", base = 8}\n'
        '[[learn]]\nstep = "distil"\nlosses = [{name = "kd", weight = 0.9, temperature = 2.0},'
        ' "cross-entropy"]\n[[targets]]\nruntime = "onnxruntime"\n'
    )
    assert recipe.load(other) == recipe.load(small)
    with pytest.raises(ValueError, match="frozen"):
        recipe.load(small).name = "other"  # type: ignore[misc]


def test_overrides_count_over_the_file(small: Path) -> None:
    loaded = recipe.load(
        small,
        [
            "student.train.epochs=3",
            "learn.0.losses.1.weight=0.5",
            "learn.0.losses.0.temperature=1e1",
            "targets=[{runtime: openvino, threads: [1, 2]}]",
            "student.train.epochs=4",
        ],
    )
    assert loaded.student.train.epochs == 4
    assert loaded.learn[0].losses[1].weight == 0.5
    assert loaded.learn[0].losses[0].loss.arguments == {"temperature": 10.0}
    assert loaded.targets[0].threads == (1, 2)


@pytest.mark.parametrize(
    ("override", "want"),
    [
        ("teacher.train.epochs=-3", "teacher.train.epochs: got -3, want an integer >= 1"),
        ("teacher.train.epochs=2.5", "teacher.train.epochs: got 2.5, want an integer"),
        ("teacher.train.epoch=3", "teacher.train.epoch: got unknown key, did you mean 'epochs'?"),
        ("teacher.model.bse=8", "teacher.model.bse: got unknown key, did you mean 'base'?"),
        ("teacher.model.base=0", "teacher.model.base: got 0, want an integer >= 1"),
        ("teacher.model=resnet21", "teacher.model: got unknown model 'resnet21'; did you mean"),
        ("data.source=digit", "got unknown data source 'digit'; did you mean 'digits'?"),
        ("learn=[]", "learn: got no step, want distil, or `student.weights`"),
        ("learn.0.step=prun", "learn.0.step: got 'prun', want 'distil', 'factorize', "),
        ("targets.0.profile=x87", "profile: got unknown profile 'x87'; did you mean 'x86'?"),
        ("targets.0.capability=sm", "targets.0.capability: got 'sm', want text like"),
        (
            "learn.0.losses.0.name=kb",
            "learn.0.losses.0.name: got unknown loss 'kb'; did you mean 'kd'?",
        ),
        ("learn.0.losses.0.temperature=0", "temperature: got 0, want a number > 0"),
        ("learn.0.losses.1.temperature=2", "temperature: got unknown key, one of: label_smoothing"),
        ("targets=[]", "targets: got a list of 0, want at least 1"),
        ("targets.0.runtime=opnvino", "unknown runtime 'opnvino'; did you mean 'openvino'?"),
        (
            "targets.0.precision=[int8]",
            "precision: got 'int8', want a `quantize` step at the end of learn",
        ),
        ("targets.0.precision=[fp32, fp32]", "precision: got 'fp32' twice, want it once"),
        ("targets.0.threads=[1, 1]", "threads: got 1 twice, want it once"),
        ("student.train.channels_last=5", "got 5, want 'auto' or true or false"),
        ("views={mixup: 1, cutmix: 1}", "views: got mixup and cutmix, want one of them"),
        ("export.opset=24", "export.opset: got 24, want an integer <= 23"),
        ("seed=true", "seed: got true, want an integer"),
        ("learn=[{step: distil, scheme: mutual}]", "learn.0.losses: got nothing, want losses"),
        ("learn.0.private={}", "learn.0.private.epsilon: got nothing, want a value"),
        (
            "learn.0.private={epsilon: 1, delta: 0.5}",
            "private.delta: got 0.5, want a number <= 0.01",
        ),
        ("learn.0.losses.0.ramp={}", "learn.0.losses.0.ramp.epochs: got nothing, want a value"),
        (
            "learn.0.teachers=[teacher, teacher]",
            "learn.0.teachers: got 'teacher' twice, want it once",
        ),
        ("learn.0.only=['0', '0']", "learn.0.only: got '0' twice, want it once"),
        (
            "learn.0.losses=[{loss: {name: nope}}]",
            "learn.0.losses.0.loss.name: got unknown loss 'nope'; ",
        ),
        (
            "learn.0.losses=[{loss: {name: kd, arguments: {temperature: -4.0}}}]",
            "learn.0.losses.0.loss.arguments.temperature: got -4.0, want a number > 0",
        ),
        (
            "learn.0.losses=[kd, {name: fitnet, layers: []}]",
            "learn.0.losses.1.layers: got a list of 0, want 'auto', 'embeddings', 'hidden'",
        ),
        (
            "learn.0.losses=[kd, {name: fitnet, layers: [{student: a}]}]",
            "learn.0.losses.1.layers.0.teacher: got nothing, want a value",
        ),
        (
            "learn.0.losses=[kd, {name: rkd, layers: 0.5}]",
            "learn.0.losses.1: layers: got them for 'rkd', which compares what enters the classifier",
        ),
        ("learn.0.losses.0.weight=1e10", "weight: got 10000000000.0, want a number <= 1e+09"),
        (
            "student.input={height: 20000}",
            "student.input.height: got 20000, want an integer <= 16384",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(small: Path, override: str, want: str) -> None:
    line = complaint(small, override)
    assert line.startswith("--set: ") and want in line


def test_the_line_is_that_of_the_key(small: Path) -> None:
    small.write_text(SMALL.replace("temperature: 2", "temprature: 2"))
    line = complaint(small)
    assert line.startswith("small.yaml:8: learn.0.losses.0.temprature: got unknown key, did you")
    small.write_text(SMALL.replace("teacher: {model: resnet20}", "teacher: {}"))
    assert complaint(small) == "small.yaml:3: teacher.model: got nothing, want a value"


def test_a_misspelt_key_explains_the_missing_one(small: Path) -> None:
    small.write_text(SMALL.replace("student:", "studnet:"))
    assert complaint(small) == "small.yaml:4: studnet: got unknown key, did you mean 'student'?"


def test_a_loss_on_the_teacher_belongs_in_learn(small: Path) -> None:
    for key in ("teacher", "student"):
        line = complaint(small, f"{key}.losses=[kd]")
        assert f"{key}.losses: got 'kd', which compares with a teacher" in line
        assert "learn.0.losses" in line


def test_one_target_a_runtime(small: Path) -> None:
    line = complaint(small, "targets=[{runtime: openvino}, {runtime: openvino, threads: [2]}]")
    assert "targets: got 'openvino' twice" in line


def test_weights_are_looked_for_beside_the_recipe(small: Path) -> None:
    line = complaint(small, "teacher.weights=t.safetensors")
    assert (
        line == "--set: teacher.weights: got 't.safetensors', want a file (relative to the recipe)"
    )
    (small.parent / "t.safetensors").write_bytes(b"")
    loaded = recipe.load(small, ["teacher.weights=t.safetensors"])
    key = ("teacher", "weights")
    assert recipe.weights_paths(loaded, small) == {key: small.parent / "t.safetensors"}
    assert recipe.weights_paths(recipe.load(small), small) == {}


@pytest.mark.parametrize("weights", ["../nothing.pt", "/dev/null", ".", "x" * 900, "fifo"])
def test_weights_that_are_no_file(small: Path, weights: str) -> None:
    os.mkfifo(small.parent / "fifo")
    assert "want a file" in complaint(small, f"teacher.weights={weights}")


def test_loading_takes_no_time() -> None:
    recipe.load(SHIPPED[0])
    began_s = time.process_time()
    recipe.load(SHIPPED[0])
    assert time.process_time() - began_s < 0.3


OF_NUMBERS = """
name: numbers
task: regression
data: {source: "python:mine:read"}
teacher: {model: mlp}
student: {model: mlp}
learn: [{step: distil, losses: [LOSS, mean-squared-error]}]
targets: [{runtime: onnxruntime}]
"""


def test_where_a_recipe_says_none_the_task_s_losses_teach(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(OF_NUMBERS.replace("LOSS", "value-mse"))
    read = recipe.load(path)
    for who in (read.teacher, read.student):
        assert who.losses == ()


def test_a_loss_that_cannot_serve_the_task_is_one_line_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(OF_NUMBERS.replace("LOSS", "kd"))
    said = complaint(path)
    assert "learn.0.losses.0" in said and "\n" not in said
    assert said.endswith("got 'kd': it compares logits, and the model gives values (values)")


OF_TEXTS = """
name: texts
data: {source: "jsonl:none.jsonl"}
teacher: {model: text-encoder}
student: {model: {name: text-encoder, layers: 1}}
learn: [{step: distil, losses: [kd]}]
targets: [{runtime: onnxruntime}]
"""


@pytest.mark.parametrize(
    ("override", "want"),
    [
        ("views.flip=true", "views.flip: got it for inputs of kind tokens, want it for image"),
        ("views.mixup=0.2", "views.mixup: got it for inputs of kind tokens, want it for image"),
        (
            "teacher.views={affine: {degrees: 3}}",
            "teacher.views.affine: got it for inputs of kind tokens",
        ),
        (
            "teachers={other: {model: text-encoder, views: {crop: 1}}}",
            "teachers.other.views.crop: got it for inputs of kind tokens",
        ),
        (
            "learn.0.scheme=sskd",
            "learn.0.scheme: got 'sskd', which takes image alone, and this task's data have tokens",
        ),
        (
            "synthesis={method: dafl, count: 9}",
            "synthesis.method: got 'dafl', which takes image alone, and this task's data have tokens",
        ),
    ],
)
def test_what_is_for_images_is_refused_for_texts(tmp_path: Path, override: str, want: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(OF_TEXTS)
    assert recipe.load(path, ["views.count=3"]).views.count == 3
    said = complaint(path, override)
    assert want in said and "\n" not in said


def test_views_of_images_are_left_to_the_data_where_a_recipe_does_not_know_them(
    tmp_path: Path,
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(OF_TEXTS.replace("jsonl:none.jsonl", "python:mine:read"))
    assert recipe.load(path, ["views.flip=true"]).views.flip
