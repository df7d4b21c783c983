"""What a call says of losses, schemes and trainings is understood as a recipe understands it."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor

from edgekd.errors import InputError
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.settings import Training
from edgekd.learn.standalone.distiller import Distiller
from edgekd.learn.standalone.terms import read_terms
from edgekd.learn.standalone.terms import read_training_words
from edgekd.recipe import load_mapping
from tests.learn.standalone_example import batches
from tests.learn.standalone_example import net


def overlap(student_logits: Tensor, teacher_logits: Tensor, *, temperature: float = 2.0) -> Tensor:
    """The share of the softened distributions that is not common."""
    p, q = ((each / temperature).softmax(1) for each in (teacher_logits, student_logits))
    return (1 - p.minimum(q).sum(1)).mean()


def names(losses: Any) -> list[str]:
    return [term.loss.name for term in read_terms(losses, {}, True)]


def test_losses_in_other_words() -> None:
    said = ["KD", "CrossEntropy", "mse", {"name": "kd", "T": 2.0, "weight": 3}]
    terms = read_terms(said, {}, True)
    assert [term.loss.name for term in terms] == ["kd", "cross-entropy", "mean-squared-error", "kd"]
    assert terms[3].loss.arguments["temperature"] == 2.0 and terms[3].weight == 3
    assert names("kd") == names({"name": "Hinton"}) == ["kd"]


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ("kdd", "losses.0: got unknown loss 'kdd'; did you mean 'kd'"),
        (["kd", "kl"], "losses.1: got unknown loss 'kl'; write kd"),
        ([{"name": "kd", "alpha": 0.9}], "losses.0.alpha: got unknown key; write a weight beside"),
        ([{"name": "kd", "T": 1.0, "temperature": 2.0}], "losses.0.temperature: got it beside"),
        ([3], "losses.0: got int, want a name of edgekd methods"),
        ({"kd": 0.9}, "losses.0: got a mapping of kd, want a name, or {name, weight}"),
        (
            {"name": overlap, "temperatur": 3.0},
            "got unknown key 'temperatur'; did you mean 'temper",
        ),
        (3, "losses.0: got int"),
        (lambda a, b: a, "'lambda', which takes nothing of the student, want student_logits"),
        (lambda *student_logits: 0, r"lambda: got \*args"),
        (torch.nn.KLDivLoss(), "'KLDivLoss', which takes nothing of the student"),
    ],
)
def test_what_is_no_loss_is_refused_in_a_line(losses: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_terms(losses, {}, True)


def test_a_setting_of_a_function_is_a_knob() -> None:
    logits = torch.randn(2, 4, 10)
    said = {"name": overlap, "weight": 0.5, "temperature": 3.0}
    for words, temperature in ((said, 3.0), (overlap, 2.0)):
        (bound,) = bind_terms(read_terms(words, {}, True), allow_code=True)  # type: ignore[arg-type]
        assert bound.function(*logits) == overlap(*logits, temperature=temperature)

    def own(student_logits: Tensor, weight: float = 2.0, scale: object = ...) -> Tensor:
        return student_logits.mean() * weight

    (term,) = read_terms({"name": own, "weight": 0.5}, {}, True)
    assert term.weight == 0.5 and term.loss.arguments == {"weight": 2.0}
    with pytest.raises(InputError, match="temperature"):
        read_terms({"name": overlap, "temperature": [3.0]}, {}, True)


def test_functions_are_losses() -> None:
    def sharp(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 2.0) -> Tensor:
        p, q = ((each / temperature).softmax(1) for each in (teacher_logits, student_logits))
        return (1 - p.minimum(q).sum(1)).mean()

    def kd(student_logits: Tensor, labels: Tensor) -> Tensor:
        return student_logits.gather(1, labels[:, None]).mean().neg()

    sharper = functools.partial(sharp, temperature=1.0)
    assert names([sharp, kd, kd, sharper]) == ["sharp", "kd-2", "kd-3", "partial"]
    assert names(sharp) == names({"name": sharp, "weight": 2.0}) == ["sharp"]  # its name is free
    example = batches()[0]
    distiller = Distiller(net(2), teacher := net(4), example=example, losses=[sharp, kd])
    distiller.loss(example).backward()
    logits = [each.eval()(example[0]) for each in (distiller.student, teacher)]
    want = sharp(*logits).item()
    assert distiller.eval().loss(example) is not None
    assert distiller.values["sharp"] == pytest.approx(want)
    with pytest.raises(InputError, match="loss bad: raised KeyError"):
        Distiller(net(2), net(4), example=example, losses=[bad])


def bad(student_logits: Tensor) -> Tensor:
    raise KeyError("no")


def test_trainings_in_other_words() -> None:
    said = {"lr": 0.1, "num_epochs": 3, "optim": "AdamW", "scheduler": "CosineAnnealingLR"}
    known = set(Training.model_fields)
    want = {"learning_rate": 0.1, "epochs": 3, "optimizer": "adamw", "schedule": "cosine"}
    assert read_training_words(said, known) == want
    mapping = {"optimizer": {"name": "RMSprop", "alpha": 0.9}}
    assert read_training_words(mapping, known)["optimizer"]["name"] == "rmsprop"
    for words, message in (
        ({"lr": 0.1, "learning_rate": 0.1}, "learning_rate: got it beside another word"),
        ({"amp": True}, "amp: got unknown key; write precision: bf16"),
        ({"schedule": "plateau"}, "schedule: got unknown schedule 'plateau'; write cosine"),
    ):
        with pytest.raises(InputError, match=message):
            read_training_words(words, known)


def test_a_function_is_known_to_its_own_terms_alone() -> None:
    (term,) = read_terms(overlap, {}, True)
    assert term.loss.find_member(LOSSES).given is overlap
    assert "overlap" not in LOSSES and names([overlap, "kd"]) == ["overlap", "kd"]
    with pytest.raises(InputError, match="unknown loss 'overlap'"):
        read_terms("overlap", {}, True)
    copied = term.model_copy(update={"weight": 2.0})
    assert copied.loss.find_member(LOSSES).given is overlap


def test_a_function_stands_beside_a_loss_that_looks_inside() -> None:
    example = batches(1)[0]
    distiller = Distiller(net(2), net(4, seed=1), example=example, losses=[overlap, "fitnet"])
    assert distiller.loss(*example).isfinite()
    assert distiller.values.keys() == {"overlap", "fitnet"}


def test_losses_left_out_are_those_of_a_recipe() -> None:
    labels = {"labels": torch.zeros(3, dtype=torch.long)}
    recipe = load_mapping(
        {
            "name": "r",
            "data": "digits",
            "teacher": {"model": "resnet20"},
            "student": "resnet8",
            "learn": ["distil"],
            "targets": ["onnxruntime"],
        }
    )
    assert read_terms((), labels, True) == recipe.steps[0].losses  # type: ignore[union-attr]
    (soft,), (hard,) = read_terms((), {}, True), read_terms((), labels, False)
    assert (soft.loss.name, soft.loss.arguments["temperature"], soft.weight) == ("kd", 4.0, 1.0)
    assert (hard.loss.name, hard.weight) == ("cross-entropy", 1.0)
    with pytest.raises(InputError, match="got no teacher and no labels"):
        read_terms((), {}, False)
