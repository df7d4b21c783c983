"""Agreement, divergence and confusions by hand and against a slow count."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from edgekd.bench.explanation import fidelity

TEACHER = np.log(np.array([[0.75, 0.25], [0.5, 0.5], [0.1, 0.9], [0.8, 0.2]]))
STUDENT = np.log(np.array([[0.50, 0.50], [0.5, 0.5], [0.9, 0.1], [0.3, 0.7]])) - 7
DIVERGENCES = [
    0.75 * math.log(1.5) + 0.25 * math.log(0.5),
    0.0,
    0.1 * math.log(1 / 9) + 0.9 * math.log(9),
    0.8 * math.log(0.8 / 0.3) + 0.2 * math.log(0.2 / 0.7),
]


def test_divergences_by_hand() -> None:
    np.testing.assert_allclose(
        fidelity.compute_divergences(TEACHER, STUDENT), DIVERGENCES, atol=1e-12
    )
    assert (
        fidelity.compute_divergences(TEACHER, TEACHER + 5) == pytest.approx(0, abs=1e-12)
    ) is True


def test_the_divergence_is_the_teachers_from_the_student() -> None:
    other = fidelity.compute_divergences(STUDENT, TEACHER)[0]
    assert other == pytest.approx(0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25))
    assert other != pytest.approx(DIVERGENCES[0])


def test_a_class_the_teacher_excludes_costs_nothing() -> None:
    teacher, student = np.array([[0.0, -1e4]]), np.array([[0.0, 0.0]])
    assert fidelity.compute_divergences(teacher, student) == pytest.approx(math.log(2))


def test_agreement_counts_classes() -> None:
    found = fidelity.measure_agreement(TEACHER, STUDENT)
    assert found.value == 0.5 and found.interval.low < 0.5 < found.interval.high


def test_the_farthest_apart_come_first() -> None:
    apart = np.array([0.1, 0.7, 0.7, 0.0])
    assert fidelity.farthest_samples(apart, 3).tolist() == [1, 2, 0]
    assert fidelity.farthest_samples(apart, 10).tolist() == [1, 2, 0, 3]
    assert fidelity.find_disagreements(TEACHER, STUDENT).tolist() == [2, 3]
    assert fidelity.find_disagreements(TEACHER, TEACHER).tolist() == []


def test_confusions_against_a_count() -> None:
    generator = np.random.default_rng(1)
    teacher, student = generator.normal(size=(2, 400, 4))
    labels = generator.integers(0, 4, 400)
    said = list(zip(teacher.argmax(1), student.argmax(1), labels, strict=True))
    counts = Counter((t, s) for t, s, _ in said if t != s)
    found = fidelity.count_confusions(teacher, student, labels)
    assert {(one.teacher, one.student): one.samples for one in found} == counts
    assert [one.samples for one in found] == sorted(counts.values(), reverse=True)
    for one in found:
        here = [label for t, s, label in said if (t, s) == (one.teacher, one.student)]
        assert one.teacher_right == here.count(one.teacher)
        assert one.student_right == here.count(one.student)
    assert fidelity.count_confusions(teacher, teacher, labels) == ()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="want two"):
        fidelity.measure_agreement(TEACHER, STUDENT[:2])
    with pytest.raises(ValueError, match="want two"):
        fidelity.compute_divergences(TEACHER[0], STUDENT[0])
    with pytest.raises(ValueError, match="want"):
        fidelity.count_confusions(TEACHER, STUDENT, np.array([0]))
    with pytest.raises(ValueError, match="not finite"):
        fidelity.compute_divergences(np.array([[np.inf, 0.0]]), STUDENT[:1])
