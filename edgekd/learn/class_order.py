"""Which of a teacher's classes is which of the student's, by name. Imports no torch."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def class_order(student_names: Sequence[str], teacher_names: Sequence[str]) -> tuple[int, ...]:
    """Return where the teacher has each class of the student; case and outer blanks do not count.

    The teacher may know more classes: their columns are left out, so that its softmax is the one
    given that the class is among the student's.

    Args:
        student_names: of the student's classes, in the order of its logits.
        teacher_names: the same of the teacher.

    Returns:
        For each class of the student the teacher's number of it.

    Raises:
        ValueError: if the teacher lacks a class, or one of them has two classes of one name.
    """
    ours, theirs = _plain(student_names, "student"), _plain(teacher_names, "teacher")
    number = {name: index for index, name in enumerate(theirs)}
    missing = [name for name, key in zip(student_names, ours, strict=True) if key not in number]
    if missing:
        raise ValueError(
            f"got no {_listed(missing)} from the teacher, want all classes of the student"
        )
    return tuple(number[key] for key in ours)


def _plain(names: Sequence[str], whose: str) -> list[str]:
    plain = [name.strip().casefold() for name in names]
    twice = [name for name, count in Counter(plain).items() if count > 1]
    if twice:
        raise ValueError(f"got {_listed(twice)} more than once among the {whose}'s classes")
    return plain


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def match_classes(data_names: Sequence[str], model_names: Sequence[str]) -> tuple[int | None, ...]:
    """Match classes of the data with those that a model knows, as far as it knows them; case and outer blanks do not count.

    A model's name may list synonyms, as ImageNet's do: ``Egyptian cat`` or ``tench, Tinca tinca``. A name that two of
    its classes have, such as ``crane``, says nothing.

    Args:
        data_names: of the data's classes, in order.
        model_names: the same of the model.

    Returns:
        For each class of the data the model's number of it; None where it has none.
    """
    numbers: dict[str, set[int]] = {}
    for number, name in enumerate(model_names):
        for each in (name, *name.split(",")):
            numbers.setdefault(each.strip().casefold(), set()).add(number)
    found = [numbers.get(name.strip().casefold(), set()) for name in data_names]
    return tuple(next(iter(each)) if len(each) == 1 else None for each in found)
