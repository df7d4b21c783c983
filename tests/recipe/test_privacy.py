"""A private step is the only one that learns from the samples; what else would is refused beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekd import recipe
from edgekd.errors import InputError
from edgekd.learn.models import MODELS
from edgekd.recipe import privacy
from tests.learn.blueprint_example import image_blueprint

PRIVATE = "{step: distil, losses: [kd], private: {epsilon: 3.0}}"
FRESH = "{step: distil, losses: [kd], private: {epsilon: 3.0}, start: fresh}"
PLAIN = "{step: distil, losses: [kd]}"


def load(
    folder: Path, learn: str, student: str = "norm: group", views: str = "{}"
) -> recipe.Recipe:
    path = folder / "r.yaml"
    path.write_text(
        "name: small\ndata: {source: digits}\nteacher: {model: resnet20}\n"
        f"student: {{model: resnet8, {student}}}\nviews: {views}\nlearn: {learn}\n"
        "targets: [{runtime: onnxruntime}]\n"
    )
    return recipe.load(path)


@pytest.mark.parametrize(
    "learn",
    [
        f"[{PRIVATE}]",
        f"[{PRIVATE}, {{step: quantize, train: null}}]",
        f"[{PRIVATE}, {{step: prune, macs: 0.5}}]",
        f"[{{step: distil, model: resnet14, losses: [kd]}}, {FRESH}]",
        f"[{PRIVATE}, {FRESH}]",
    ],
)
def test_one_private_step_trains_what_is_shipped(tmp_path: Path, learn: str) -> None:
    load(tmp_path, learn)


@pytest.mark.parametrize(
    ("learn", "told"),
    [
        (f"[{PLAIN}, {PRIVATE}]", "learn.1.private: got it on a step that goes on from another"),
        (
            f"[{PRIVATE}, {PRIVATE}]",
            "learn.1.step: got 'distil' after a private step, want none: it lea",
        ),
        (f"[{PRIVATE}, {PLAIN}]", "learn.1.step: got 'distil' after a private step"),
        (
            f"[{PRIVATE}, {{step: distil, start: fresh, losses: [kd]}}]",
            "learn.0.private: got it, and none on learn.1, which trains what is shipped",
        ),
        (
            f"[{PRIVATE}, {{step: factorize, macs: 0.5, recover: {{losses: [kd]}}}}]",
            "learn.1.recover: got it after a private step, want none",
        ),
        (
            f"[{PRIVATE}, {{step: prune, macs: 0.5}}, {{step: quantize}}]",
            "learn.2.train: got it after a private step, want null: it learns from the same samples",
        ),
        (f"[{{scheme: dml, {PRIVATE[1:]}]", "learn.0.private: got it beside a scheme"),
        (f"[{{inherit: {{}}, {PRIVATE[1:]}]", "learn.0.private: got it beside a scheme or inherit"),
        (
            f"[{{train: {{batch_size: 32}}, {PRIVATE[1:]}]",
            "learn.0.train.batch_size: got 32, want 64 or more for privacy",
        ),
        (
            f"[{{train: {{precision: fp16}}, {PRIVATE[1:]}]",
            "learn.0.train.precision: got 'fp16', want 'bf16' or 'fp32'",
        ),
        (
            f"[{{train: {{auxiliary: 0.3}}, {PRIVATE[1:]}]",
            "learn.0.train.auxiliary: got it for a private step, want 0",
        ),
    ],
)
def test_what_a_private_step_does_not_go_with(tmp_path: Path, learn: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        load(tmp_path, learn)
    assert caught.value.exit_code == 2 and len(str(caught.value)) <= 200


@pytest.mark.parametrize(
    ("student", "views", "told"),
    [
        (
            "norm: group, train: {batch_size: 32}",
            "{}",
            "student.train.batch_size: got 32, want 64 or more",
        ),
        ("norm: group, train: {precision: fp16}", "{}", "student.train.precision: got 'fp16'"),
        (
            "norm: batch",
            "{}",
            "student.norm: got 'batch', want 'group' for privacy: the batch norms",
        ),
        ("norm: group", "{mixup: 0.2}", "private: got it beside views.mixup"),
        ("norm: group", "{cutmix: 1.0}", "private: got it beside views.cutmix"),
    ],
)
def test_what_the_rest_of_a_recipe_does_not_go_with(
    tmp_path: Path, student: str, views: str, told: str
) -> None:
    load(tmp_path, f"[{PLAIN}]", student, views)
    with pytest.raises(InputError, match=told):
        load(tmp_path, f"[{PRIVATE}]", student, views)


def test_a_step_s_own_training_counts_over_the_student_s(tmp_path: Path) -> None:
    own = f"[{{train: {{batch_size: 128}}, {PRIVATE[1:]}]"
    load(tmp_path, own, "norm: group, train: {batch_size: 32}")


def test_which_models_have_batch_norms() -> None:
    """Those of ours are built; others' are not known before they are."""
    from torch.nn.modules.batchnorm import _BatchNorm

    from edgekd.learn import blueprint

    sizes = {"classes": 4, "channels": 3, "height": 32, "width": 32, "vocabulary": 9, "longest": 8}
    sizes |= {"dimensions": 4, "types": 1}
    images = dict(list(sizes.items())[:4])
    foreign = {"timm", "transformers", "python", "onnx"}
    found = set()
    for name in MODELS.keys() - foreign:
        if name == "unet" or "vocabulary" in MODELS[name].supplied:
            model = MODELS[name].load()(**{each: sizes[each] for each in MODELS[name].supplied})
        else:
            model = blueprint.build(image_blueprint(builder=name, **images))
        if any(isinstance(module, _BatchNorm) for module in model.modules()):
            found.add(name)
    assert found == {name for name, member in MODELS.items() if member.has_batch_norm}


def test_the_least_batch_is_the_mechanism_s() -> None:
    from edgekd.learn.privacy.dp_sgd import LEAST_BATCH

    assert privacy.LEAST_BATCH == LEAST_BATCH
