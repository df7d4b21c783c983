"""Losses find what they compare by the kind and the name of an output; a classifier's signals stay as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.errors import InputError
from edgekd.interface import Interface
from edgekd.interface import Tensor as End
from edgekd.interface import image_classifier
from edgekd.learn.assembly import connection
from edgekd.learn.losses.response.soft_targets import kd
from edgekd.learn.method.loss import compute_lessons
from edgekd.learn.method.loss_values import read_values
from edgekd.learn.method.named_outputs import name_outputs
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.teacher import combine_teachers
from edgekd.learn.method.teacher import run_teacher
from edgekd.learn.schemes.labels_only import learn_from_labels
from edgekd.learn.schemes.offline import offline
from edgekd.learn.settings import Losses

BATCH, CLASSES = 4, 3
IMAGES = End("images", "float32", ("batch", 2, 5, 5))
MAP = End("logits", "float32", ("batch", CLASSES, 5, 5), "logits", class_axis=1, target="maps")
SCORES = End("scores", "float32", ("batch", CLASSES), "logits", class_axis=1, target="labels")
TAGS = End("tags", "float32", ("batch", CLASSES), "logits", target="present")
NUMBERS = End("numbers", "float32", ("batch", 2), target="measured")


class Net(nn.Module):
    """A convolution, and of it as many outputs as there are."""

    def __init__(self, *ends: End) -> None:
        super().__init__()
        self.ends = ends
        self.conv = nn.Conv2d(2, CLASSES, 3, padding=1)
        self.linear = nn.ModuleDict(
            {end.name: nn.Linear(CLASSES, self._width(end)) for end in ends}
        )

    @staticmethod
    def _width(end: End) -> int:
        return int(end.shape[1])

    def forward(self, images: Tensor) -> Any:
        found = self.conv(images)
        pooled = found.mean((2, 3))
        given = tuple(
            found if len(end.shape) == 4 else self.linear[end.name](pooled) for end in self.ends
        )
        return given if len(given) > 1 else given[0]


def batch() -> TensorBatch:
    random = torch.Generator().manual_seed(0)
    maps = torch.randint(CLASSES, (BATCH, 5, 5), generator=random)
    maps[:, 0] = 255
    targets = {
        "maps": maps,
        "labels": torch.randint(CLASSES, (BATCH,), generator=random),
        "present": torch.randint(2, (BATCH, CLASSES), generator=random).to(torch.uint8),
        "measured": torch.randn(BATCH, 2, generator=random),
    }
    images = torch.randn(BATCH, 2, 5, 5, generator=random)
    return TensorBatch(np.arange(BATCH), 0, (images,), targets)


def networks(*ends: End) -> tuple[Net, Net]:
    torch.manual_seed(0)
    return Net(*ends), Net(*ends)


def values(ends: tuple[End, ...], *terms: Any, taught: bool = True) -> dict[str, float]:
    """Of each term in one step of a student and a teacher with these outputs."""
    student, teacher = networks(*ends)
    connected = connection.connect_outputs(
        TypeAdapter(Losses).validate_python(list(terms)),
        BATCH,
        samples=20,
        interface=Interface((IMAGES,), ends),
    )
    scheme: Scheme = offline(run_teacher(teacher, None)) if taught else learn_from_labels()
    lessons = connected.add_to_scheme(scheme).lessons(student, batch())
    total, shown = compute_lessons(connected.terms, lessons, 0.0)
    total.backward()
    assert student.conv.weight.grad is not None
    return read_values([shown])[0]


def given(*ends: End) -> tuple[Any, Any]:
    """What student and teacher give to the batch."""
    with torch.no_grad():
        return tuple(net(*batch().inputs) for net in networks(*ends))  # type: ignore[return-value]


def test_dense_logits_are_the_mean_over_the_places_that_count() -> None:
    shown = values((MAP,), "kd", "cross-entropy", "dkd")
    student, teacher = given(MAP)
    counts = batch().targets["maps"] != 255
    rows = [each.movedim(1, -1)[counts] for each in (student, teacher)]
    assert shown["kd"] == pytest.approx(float(kd(*rows)), rel=1e-6)
    want = F.cross_entropy(student, batch().targets["maps"], ignore_index=255)
    assert shown["cross-entropy"] == pytest.approx(float(want), rel=1e-6)


def test_classes_that_do_not_compete() -> None:
    shown = values((TAGS,), "binary-cross-entropy", "binary-kd")
    student, _ = given(TAGS)
    want = F.binary_cross_entropy_with_logits(student, batch().targets["present"].float())
    assert shown["binary-cross-entropy"] == pytest.approx(float(want), rel=1e-6)


def test_numbers() -> None:
    shown = values((NUMBERS,), "mean-squared-error", "value-mse", "smooth-l1", "bounded-regression")
    student, teacher = given(NUMBERS)
    want = F.mse_loss(student, batch().targets["measured"])
    assert shown["mean-squared-error"] == pytest.approx(float(want), rel=1e-6)
    assert shown["value-mse"] == pytest.approx(float(F.mse_loss(student, teacher)), rel=1e-6)


def test_several_outputs_each_with_its_losses() -> None:
    ends = (SCORES, MAP, NUMBERS)
    shown = values(
        ends,
        {"name": "kd", "output": "scores"},
        {"name": "cross-entropy", "output": "logits"},
        "value-mse",
    )
    (scores, dense, numbers), (theirs, _, far) = given(*ends)
    assert shown["kd"] == pytest.approx(float(kd(scores, theirs)), rel=1e-6)
    want = F.cross_entropy(dense, batch().targets["maps"], ignore_index=255)
    assert shown["cross-entropy"] == pytest.approx(float(want), rel=1e-6)
    assert shown["value-mse"] == pytest.approx(float(F.mse_loss(numbers, far)), rel=1e-6)


def test_the_single_logits_serve_whatever_their_name() -> None:
    shown = values((SCORES,), "kd", "cross-entropy")
    student, teacher = given(SCORES)
    assert shown["kd"] == pytest.approx(float(kd(student, teacher)), rel=1e-6)


def test_without_a_teacher_labels_alone_teach() -> None:
    shown = values((MAP, NUMBERS), "cross-entropy", "mean-squared-error", taught=False)
    assert set(shown) == {"cross-entropy", "mean-squared-error"}


@pytest.mark.parametrize(
    ("ends", "term", "message"),
    [
        ((NUMBERS,), "kd", r"loss kd: it compares logits, and the model gives numbers \(values\)"),
        ((MAP,), "value-mse", r"loss value-mse: it compares values, and the model gives logits"),
        ((SCORES, MAP), "kd", "loss kd: output: got none, want one of its logits: scores, logits"),
        (
            (SCORES, MAP),
            {"name": "kd", "output": "score"},
            "loss kd: output: got 'score', want one of its logits: scores, logits",
        ),
    ],
)
def test_what_no_output_serves_is_refused_in_one_line(
    ends: tuple[End, ...], term: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        values(ends, term)
    assert "\n" not in str(caught.value)


def test_where_no_place_counts_a_loss_is_zero_and_so_is_its_gradient() -> None:
    student, _ = networks(MAP)
    none = batch()
    none.targets["maps"].fill_(255)  # type: ignore[attr-defined]
    terms = TypeAdapter(Losses).validate_python(["cross-entropy"])
    connected = connection.connect_outputs(
        terms, BATCH, samples=20, interface=Interface((IMAGES,), (MAP,))
    )
    lessons = connected.add_to_scheme(learn_from_labels()).lessons(student, none)
    total, _ = compute_lessons(connected.terms, lessons, 0.0)
    total.backward()
    assert not total.detach().any() and student.conv.weight.grad is not None
    assert not student.conv.weight.grad.any()


def test_a_classifier_s_signals_are_left_alone() -> None:
    signals = {"student_logits": torch.zeros(2, 3), "labels": torch.zeros(2)}
    ends = image_classifier(classes=3, channels=1, height=2, width=2)
    assert name_outputs(signals, ends) is signals


def test_another_number_of_outputs_is_refused() -> None:
    with pytest.raises(InputError, match="student: got 1 outputs, want scores, numbers"):
        name_outputs({"student_logits": torch.zeros(2, 3)}, Interface((IMAGES,), (SCORES, NUMBERS)))


def test_several_teachers_are_combined_output_by_output() -> None:
    nets = [Net(SCORES, NUMBERS) for _ in range(2)]
    teachers = [run_teacher(net, None) for net in nets]
    scores, numbers = combine_teachers(teachers, "mean-logits")(batch())
    with torch.no_grad():
        each = [net(*batch().inputs) for net in nets]
    torch.testing.assert_close(scores, (each[0][0] + each[1][0]) / 2)
    torch.testing.assert_close(numbers, (each[0][1] + each[1][1]) / 2)


def test_several_teachers_of_dense_logits_are_averaged() -> None:
    nets = [Net(MAP) for _ in range(2)]
    got = combine_teachers([run_teacher(net, None) for net in nets])(batch())
    with torch.no_grad():
        want = torch.stack([net(*batch().inputs) for net in nets]).mean(0)
    torch.testing.assert_close(got, want)


def test_the_whole_of_dense_logits_is_a_signal_too() -> None:
    student, teacher = given(MAP)
    named = name_outputs(
        {"student_logits": student, "teacher_logits": teacher, **batch().targets},
        Interface((IMAGES,), (MAP,)),
    )
    assert torch.equal(named["student_logits_map"], student)
    assert named["student_logits"].shape == (int((batch().targets["maps"] != 255).sum()), CLASSES)
