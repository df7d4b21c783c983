"""Classes of two models matched by name."""

from __future__ import annotations

import pytest

from edgekd.learn.class_order import class_order


def test_order_says_where_the_teacher_has_each_class() -> None:
    assert class_order(["cat", "dog", "owl"], ["owl", "cat", "dog"]) == (1, 2, 0)
    assert class_order(["a", "b"], ["a", "b"]) == (0, 1)


def test_case_and_outer_blanks_do_not_count_but_inner_ones_do() -> None:
    assert class_order(["Polar Bear ", "ape"], ["APE", " polar bear"]) == (1, 0)
    with pytest.raises(ValueError, match="polarbear"):
        class_order(["polarbear"], ["polar bear"])


def test_the_teacher_may_know_more() -> None:
    assert class_order(["dog"], ["cat", "dog", "owl"]) == (1,)


def test_missing_classes_are_named_as_the_student_writes_them() -> None:
    with pytest.raises(ValueError, match=r"got no 'Cat', 'ELK' from the teacher"):
        class_order(["Cat", "dog", "ELK"], ["dog", "owl"])


@pytest.mark.parametrize(
    ("student", "teacher", "whose"),
    [(["a", "A "], ["a", "b"], "student"), (["a"], ["b", "a", "B"], "teacher")],
)
def test_two_classes_of_one_name_are_refused(
    student: list[str], teacher: list[str], whose: str
) -> None:
    with pytest.raises(ValueError, match=f"more than once among the {whose}'s classes"):
        class_order(student, teacher)
