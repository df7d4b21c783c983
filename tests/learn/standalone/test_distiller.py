"""One step of distillation in a loop of one's own is the step of the loop that trains every model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import edgekd
from edgekd.errors import InputError
from edgekd.learn.standalone.distillation import distil
from edgekd.learn.standalone.distiller import Distiller
from tests.learn.standalone_example import Texts
from tests.learn.standalone_example import batches
from tests.learn.standalone_example import net
from tests.learn.standalone_example import text_batches

PLAIN = {
    "clip_norm": None,
    "momentum": 0.0,
    "nesterov": False,
    "weight_decay": 0.0,
    "schedule": "constant",
}


def test_the_loss_is_the_weighted_sum_of_its_terms() -> None:
    ((images, labels),) = batches(1)
    student, teacher = net(2), net(4, seed=1).eval()
    losses = [{"name": "kd", "weight": 0.7, "temperature": 2.0}, "cross-entropy"]
    distiller = Distiller(student, teacher, example=(images, labels), losses=losses)
    found = distiller.loss((images, labels))
    logits = student(images)
    with torch.no_grad():
        soft = (teacher(images) / 2).softmax(1)
    kd = 4 * F.kl_div((logits / 2).log_softmax(1), soft, reduction="batchmean")
    want = 0.7 * kd + F.cross_entropy(logits, labels)
    torch.testing.assert_close(found, want)
    assert distiller.values == pytest.approx(
        {"kd": kd.item(), "cross-entropy": (want - 0.7 * kd).item()}
    )
    torch.testing.assert_close(edgekd.losses.kd(logits, teacher(images), temperature=2.0), kd)


@pytest.mark.parametrize("losses", [["kd", "fitnet"], ["dkd"]])
def test_a_loop_of_one_s_own_learns_what_the_house_s_loop_learns(losses: list[str]) -> None:
    teacher, loader = net(4, seed=1), batches()
    student, _ = distil(
        net(2), teacher, loader, losses=losses, epochs=2, learning_rate=0.01, quiet=True, **PLAIN
    )
    own = net(2)
    torch.manual_seed(0)
    distiller = Distiller(own, teacher, example=loader[0], losses=losses, samples=64, epochs=2)
    optimizer = torch.optim.SGD(distiller.parameters(), lr=0.01)
    for epoch in range(2):
        distiller.train()
        for number, batch in enumerate(loader):
            loss = distiller.loss(batch, epoch + number / len(loader))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for name, value in student.state_dict().items():
        if "num_batches" not in name:
            torch.testing.assert_close(distiller.student.state_dict()[name], value)


def test_what_is_learned_and_what_is_kept() -> None:
    teacher = net(4, seed=1)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    distiller = Distiller(net(2), teacher, example=batches(1)[0], losses=["kd", "fitnet"])
    distiller.train()
    distiller.loss(batches(1)[0]).backward()
    assert not teacher.training and distiller.student.training
    names = {name.partition(".")[0] for name in distiller.state_dict()}
    assert names == {"student", "companions"}
    assert all(parameter.grad is not None for parameter in distiller.parameters())
    assert all(parameter.grad is None for parameter in teacher.parameters())
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[name])
    other = Distiller(net(2, seed=5), teacher, example=batches(1)[0], losses=["kd", "fitnet"])
    other.load_state_dict(distiller.state_dict())
    assert len(distiller.compared) == 1 and distiller.compared[0].startswith("fitnet: student ")


def test_several_inputs_by_name_without_labels() -> None:
    example, other = text_batches(5, 9)
    del example["labels"]
    distiller = Distiller(Texts(), Texts(), example=example)
    assert distiller.loss(other).item() == pytest.approx(0, abs=1e-5)
    assert list(distiller.values) == ["kd"]


def test_numbers_are_compared_where_targets_are_numbers() -> None:
    inputs, targets = torch.randn(8, 4), torch.randn(8, 2)
    student, teacher = nn.Linear(4, 2), nn.Linear(4, 2)
    losses = ["value-mse", "mean-squared-error"]
    distiller = Distiller(student, teacher, example=(inputs, targets), losses=losses)
    loss = distiller.loss((inputs, targets))
    want = F.mse_loss(student(inputs), teacher(inputs)) + F.mse_loss(student(inputs), targets)
    torch.testing.assert_close(loss, want)
    with pytest.raises(InputError, match="targets that are numbers, want losses for them"):
        Distiller(student, teacher, example=(inputs, targets))
    with pytest.raises(InputError, match="no teacher and no labels"):
        Distiller(student, None, example=inputs)


def test_a_scheme_built_by_hand_reads_stored_answers() -> None:
    ((images, labels),) = batches(1)
    stored = torch.zeros(1, 40, 3)
    stored[0, 20:36] = net(4, seed=1)(images).detach()
    scheme = edgekd.schemes.offline(edgekd.knowledge.read_teacher(stored.numpy()))
    example = {"input": images, "labels": labels, "indices": torch.arange(20, 36)}
    hand = Distiller(net(2), None, example=example, losses=["logit-mse"], scheme=scheme)
    live = Distiller(net(2), net(4, seed=1).train(), example=example, losses=["logit-mse"])
    teacher_in_training = live.loss(
        example
    )  # its batch norms answer otherwise than they did in training mode
    assert hand.loss(example).isfinite() and teacher_in_training.isfinite()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"losses": ["kdd"]}, "losses.0: got unknown loss 'kdd'; did you mean 'kd'"),
        ({"losses": [{"name": "kd", "temperature": 0}]}, "losses.0: temperature: got 0"),
        ({"losses": ["crd"]}, "loss crd: it remembers samples"),
        ({"scheme": "dml"}, "scheme dml: it asks for build_peer"),
        ({"scheme": "offlin"}, "scheme: got unknown scheme 'offlin'; did you mean 'offline'"),
        ({"losses": ["value-mse", "kd"]}, "loss kd: it compares logits"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Distiller(net(2), net(4), example=batches(1)[0], **options)


def test_a_weight_that_nobody_says_is_of_the_classes_and_rises_over_the_epochs() -> None:
    ((images, labels),) = batches(1)
    made = [
        Distiller(net(2), net(4, seed=1), example=(images, labels), losses=["dkd"], epochs=epochs)
        for epochs in (12, 24)
    ]
    logits = net(2)(images).shape[1]
    assert [each.terms[0].weight for each in made] == [logits / 100] * 2
    assert [each.terms[0].ramp.epochs for each in made] == pytest.approx([1, 2])
    plain = Distiller(net(2), net(4, seed=1), example=(images, labels), losses=["dkd"])
    assert plain.terms[0].ramp is None and plain.loss((images, labels)).item() > 0
