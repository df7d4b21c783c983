"""Weights that nobody says: what fewer classes do to a loss's share of a step, by gradients written out in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from edgekd import losses
from edgekd.learn.assembly import connection
from edgekd.learn.losses import LOSSES
from edgekd.learn.method import default_weight
from edgekd.learn.settings import Losses
from edgekd.learn.settings import Term

TERMS: TypeAdapter[tuple[Term, ...]] = TypeAdapter(Losses)
COUNTS = (10, 100, 1000)
SAMPLES, SURE, NOISE = 64, 0.9, 1.0
"""A teacher that gives its label `SURE`, and the other classes logits that vary by `NOISE`."""
Rows = np.ndarray
Situation = tuple[Rows, Rows, Rows]


def situation(classes: int) -> Situation:
    """Logits of a student that knows nothing yet and of a teacher, labels."""
    random = np.random.default_rng(classes)
    labels = random.integers(0, classes, SAMPLES)
    teacher = random.normal(0, NOISE, (SAMPLES, classes))
    here = np.arange(SAMPLES)
    teacher[here, labels] = -np.inf
    teacher[here, labels] = np.log(np.exp(teacher).sum(1)) + np.log(SURE / (1 - SURE))
    return random.normal(0, 0.3, (SAMPLES, classes)), teacher, labels


def softmax(logits: Rows) -> Rows:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def of_labels(student: Rows, labels: Rows) -> Rows:
    """Gradient of the cross-entropy: p - q."""
    return (softmax(student) - np.eye(student.shape[1])[labels]) / SAMPLES


def of_kd(student: Rows, teacher: Rows, temperature: float) -> Rows:
    """Of T^2 KL: T (p_s - p_t)."""
    apart = softmax(student / temperature) - softmax(teacher / temperature)
    return temperature * apart / SAMPLES


def of_dkd(student: Rows, teacher: Rows, labels: Rows) -> Rows:
    """Of T^2 (TCKD + 8 NCKD), T = 4: the label's share is told from the rest, and the rest by itself."""
    at = np.eye(student.shape[1], dtype=bool)[labels]
    label_student, label_teacher = (softmax(each / 4)[at] for each in (student, teacher))
    student_rest, teacher_rest = (
        softmax(np.where(at, -np.inf, each) / 4) for each in (student, teacher)
    )
    apart = (label_student - label_teacher)[:, None]
    return (
        4
        * (np.where(at, apart, -apart * student_rest) + 8 * (student_rest - teacher_rest))
        / SAMPLES
    )


def of_wsld(student: Rows, teacher: Rows, labels: Rows) -> Rows:
    """Of T^2 KL, T = 4, where a sample counts 1 - exp(-CE_s / CE_t)."""
    here = np.arange(SAMPLES)
    crosses = [-np.log(softmax(each)[here, labels]) for each in (student, teacher)]
    return (1 - np.exp(-crosses[0] / crosses[1]))[:, None] * of_kd(student, teacher, 4.0)


def of_instances(student: Rows, teacher: Rows, labels: Rows) -> Rows:
    """Of mlkd without what it compares across samples and classes."""
    return sum(of_kd(student, teacher, float(each)) for each in (2, 3, 4, 5, 6))


def instances(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    return losses.mlkd(student, teacher, batch=0.0, classes=0.0)


def whole_mlkd(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    return losses.mlkd(student, teacher)


def differentiate(loss: Any, student: Rows, *others: Rows) -> Rows:
    leaf = torch.tensor(student, requires_grad=True)
    loss(leaf, *map(torch.tensor, others)).backward()
    assert leaf.grad is not None
    return leaf.grad.numpy()


def shares(loss: Any) -> list[float]:
    """Norm of a loss's gradient beside the cross-entropy's, by the number of classes."""
    found = []
    for classes in COUNTS:
        student, teacher, labels = situation(classes)
        own = differentiate(loss, student, teacher, labels)
        found.append(float(np.linalg.norm(own) / np.linalg.norm(of_labels(student, labels))))
    return found


@pytest.mark.parametrize(
    ("loss", "written_out"),
    [(losses.dkd, of_dkd), (losses.wsld, of_wsld), (instances, of_instances)],
)
@pytest.mark.parametrize("classes", [3, *COUNTS])
def test_the_gradients_are_those_written_out(loss: Any, written_out: Any, classes: int) -> None:
    student, teacher, labels = situation(classes)
    want = written_out(student, teacher, labels)
    np.testing.assert_allclose(differentiate(loss, student, teacher, labels), want, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "loss"), [("dkd", losses.dkd), ("wsld", losses.wsld), ("mlkd", whole_mlkd)]
)
def test_a_scaled_weight_leaves_a_loss_no_larger_share_with_fewer_classes(
    name: str, loss: Any
) -> None:
    """By the authors' weight alone it is three times as large with ten as with a hundred; the norm falls as C^-0.4 to C^-0.7."""
    member, (few, usual, many) = LOSSES[name], shares(loss)
    falls = np.log10([few / usual, usual / many])
    assert ((falls > 0.4) & (falls < 0.7)).all()
    scaled = default_weight.scale_weight(member, 10) * few
    assert 0.2 < scaled / (member.weight * usual) < 0.5
    assert default_weight.scale_weight(member, 100) == member.weight
    assert default_weight.scale_weight(member, 1000) == member.weight


@pytest.mark.parametrize(("name", "loss"), [("nkd", losses.nkd), ("ofa", losses.ofa)])
def test_a_loss_without_temperature_has_one_weight(name: str, loss: Any) -> None:
    found = shares(loss)
    assert max(found) / min(found) < 1.3 and not LOSSES[name].classes


def test_other_weights_are_what_they_were() -> None:
    """Numbers in the recipe and in its keys: of the table where it says none, its own where it says one."""
    for name, member in LOSSES.items():
        given = {"name": name, "top": 3} if "sparse" in name else {"name": name}
        open_term, own = TERMS.validate_python([given, {**given, "weight": 2.5}])
        assert own.model_dump()["weight"] == 2.5 == default_weight.find_weight(own, 10)
        assert default_weight.find_ramp(own, 30) is None
        depends = name in ("dkd", "wsld", "mlkd", "reviewkd")
        assert open_term.model_dump()["weight"] == ("auto" if depends else member.weight)
        auto = TERMS.validate_python([{**given, "weight": "auto"}])
        assert auto == (open_term,)


def test_a_step_binds_the_weight_of_its_classes_and_the_ramp_of_its_epochs() -> None:
    words = TERMS.validate_python(["dkd", "wsld", {"name": "dkd", "weight": 1.0}])
    bound = connection.connect_outputs(words, 8, samples=20, classes=10, epochs=24).terms
    assert [term.weight for term in bound] == [0.1, 0.225, 1.0]
    assert bound[0].ramp is not None and bound[0].ramp.epochs == pytest.approx(2)
    assert bound[1].ramp is None and bound[2].ramp is None
    many = connection.connect_outputs(words, 8, samples=20, classes=400).terms
    assert [term.weight for term in many] == [1.0, 2.25, 1.0] and many[0].ramp is None
    (ramped,) = TERMS.validate_python([{"name": "dkd", "ramp": {"epochs": 3}}])
    own = default_weight.find_ramp(ramped, 24)
    assert own is not None and own.epochs == 3


def test_what_a_weight_depends_on_is_said() -> None:
    assert default_weight.describe_weight(LOSSES["dkd"]) == (
        "1 for 100 classes and more, for fewer times classes / 100 (0.1 for 10), raised from 0 over the first 8.3% of "
        "the epochs"
    )
    assert default_weight.describe_weight(LOSSES["reviewkd"]).startswith("1, raised from 0")
    assert default_weight.describe_weight(LOSSES["kd"]) == ""
