"""A student that answers through its teacher's classifier: what is built, what is refused, what is shipped."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import nn

from edgekd.learn import blueprint
from edgekd.learn.assembly import reuse
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.export import to_onnx
from tests.learn.blueprint_example import image_blueprint

SIZE = {"channels": 1, "height": 16, "width": 16}


def plan(builder: str, **arguments: int) -> Blueprint:
    return image_blueprint(builder=builder, classes=5, arguments=arguments, **SIZE)


def built(which: Blueprint) -> nn.Module:
    torch.manual_seed(0)
    return blueprint.build(which)


@pytest.mark.parametrize("student", ["resnet8", "mobilenetv2", "vgg8"])
def test_the_teacher_s_classifier_is_copied_and_stays(student: str) -> None:
    teacher = built(plan("resnet14", base=6))
    mine = plan(student)
    model, changed = reuse.attach_teacher_classifier(built(mine), mine, teacher, {"factor": 2})
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert len(frozen) == 2
    own = dict(model.named_parameters())
    for name, theirs in zip(frozen, teacher.fc.parameters(), strict=True):
        assert torch.equal(own[name], theirs)
    again = blueprint.build(changed)
    again.load_state_dict(model.state_dict())
    images = torch.rand(3, 1, 16, 16)
    assert torch.equal(again.eval()(images), model.eval()(images))


def test_features_that_agree_give_the_teacher_s_answers() -> None:
    """Where the student's map is the teacher's, so are its logits."""
    from edgekd.learn.method.taps import Taps

    teacher, mine = built(plan("resnet14", base=6)).eval(), plan("resnet8")
    model, _ = reuse.attach_teacher_classifier(built(mine), mine, teacher, {})
    images = torch.rand(3, 1, 16, 16)
    with Taps(teacher, ["layer3"]) as read:
        told = teacher(images)
    model.layer3.register_forward_hook(lambda module, given, made: read["layer3"])
    assert torch.allclose(model.eval()(images), told, atol=1e-6)


def test_a_classifier_that_reads_more_is_refused() -> None:
    vit, mine = built(plan("vit-tiny", depth=2)), plan("resnet8")
    with pytest.raises(ValueError, match="reads more than the mean of its layer"):
        reuse.attach_teacher_classifier(built(mine), mine, vit, {})


def test_what_is_shipped_is_one_graph_that_an_engine_answers_alike(tmp_path: Path) -> None:
    teacher, mine = built(plan("resnet14", base=6)), plan("resnet8")
    model, changed = reuse.attach_teacher_classifier(built(mine), mine, teacher, {})
    path = to_onnx.write(model.eval(), tmp_path / "m.onnx", changed.interface)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images = torch.rand(3, 1, 16, 16)
    (told,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    assert torch.allclose(torch.from_numpy(told), model(images), atol=1e-5)
