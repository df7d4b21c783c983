"""Teachers that survive a step teach it; the others are not asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.schemes.densely_guided import densely_guided
from tests.learn import batch_example

STUDENT = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))


def seen(number: int, epoch: float = 0.0) -> TensorBatch:
    indices = np.arange(4, dtype=np.int64) + 4 * number
    images, labels = torch.ones(4, 3, 2, 2), torch.arange(4)
    return batch_example.tensor_batch(images, labels, indices, epoch, 10)


class Teacher:
    def __init__(self, number: int) -> None:
        self.number, self.asked = number, 0

    def __call__(self, seen: TensorBatch) -> Tensor:
        self.asked += 1
        return torch.full((4, 5), float(self.number))


def taught(lessons: list[Lesson]) -> list[int]:
    return [int(lesson.signals["teacher_logits"][0, 0]) for lesson in lessons]


def test_survivors_teach_with_weights_that_add_up_to_one() -> None:
    teachers = [Teacher(number) for number in range(3)]
    scheme = densely_guided(teachers)
    counts = [0, 0, 0]
    for number in range(200):
        lessons = list(scheme.lessons(STUDENT, seen(number)))
        assert [lesson.weight for lesson in lessons] == [1 / len(lessons)] * len(lessons)
        assert len({lesson.signals["student_logits"] for lesson in lessons}) == 1
        for teacher in taught(lessons):
            counts[teacher] += 1
    assert counts == [teacher.asked for teacher in teachers]
    share = np.array(counts) / 200  # 0.75, and a little for those who stay alone
    assert np.all(np.abs(share - 0.755) < 0.1)


def test_who_survives_is_a_function_of_batch_and_epoch_and_leaves_other_chance_alone() -> None:
    scheme = densely_guided([Teacher(number) for number in range(4)], keep=0.5)
    state = torch.get_rng_state()
    first = [taught(list(scheme.lessons(STUDENT, seen(number)))) for number in range(20)]
    again = [taught(list(scheme.lessons(STUDENT, seen(number, 0.9)))) for number in range(20)]
    later = [taught(list(scheme.lessons(STUDENT, seen(number, 1.0)))) for number in range(20)]
    assert first == again != later
    assert torch.equal(state, torch.get_rng_state())


def test_all_stay_at_one_and_one_stays_at_none() -> None:
    every = densely_guided([Teacher(number) for number in range(3)], keep=1.0)
    single = densely_guided([Teacher(number) for number in range(3)], keep=0.0)
    last = [taught(list(single.lessons(STUDENT, seen(number)))) for number in range(60)]
    assert all(taught(list(every.lessons(STUDENT, seen(n)))) == [0, 1, 2] for n in range(5))
    assert all(len(one) == 1 for one in last)
    assert {one[0] for one in last} == {0, 1, 2}


def test_lessons_carry_the_labels_and_no_teacher_is_refused() -> None:
    (first, *_) = densely_guided([Teacher(0)]).lessons(STUDENT, seen(0))
    assert {"student_logits", "teacher_logits", "labels", "label_indices"} <= set(first.signals)
    assert not dict(densely_guided([Teacher(0)]).companions)
    with pytest.raises(ValueError, match="at least one teacher"):
        densely_guided([])
