"""Classmates: of the class, never itself, the same in any batch; and what they teach."""

from __future__ import annotations

import numpy as np
import torch

from edgekd.learn.method.taps import Taps
from edgekd.learn.schemes.same_class import cs_kd
from edgekd.learn.schemes.same_class import draw_classmates
from edgekd.learn.schemes.same_class import index_classes
from tests.learn.schemes import online_example as example

LABELS = np.random.default_rng(1).integers(0, 7, 300)
ALL = np.arange(300)


def test_another_sample_of_the_class() -> None:
    book = index_classes(LABELS)
    for epoch in range(20):
        others = draw_classmates(book, 3, epoch, ALL)
        assert np.array_equal(LABELS[others], LABELS)
        assert not (others == ALL).any()


def test_the_same_whatever_the_batch() -> None:
    book, order = index_classes(LABELS), np.random.default_rng(2).permutation(300)
    others = draw_classmates(book, 3, 4, ALL)
    assert np.array_equal(draw_classmates(book, 3, 4, order), others[order])
    assert np.array_equal(draw_classmates(book, 3, 4, ALL[17:18]), others[17:18])


def test_drawn_anew_each_epoch_and_from_the_whole_class() -> None:
    book = index_classes(LABELS)
    draws = np.stack([draw_classmates(book, 3, epoch, ALL) for epoch in range(600)])
    for sample in (0, 150, 299):
        class_of = np.flatnonzero(LABELS[sample] == LABELS)
        found, times = np.unique(draws[:, sample], return_counts=True)
        assert np.array_equal(found, class_of[class_of != sample])
        assert times.max() < 5 * 600 / len(found)
    assert not np.array_equal(draws[0], draw_classmates(book, 4, 0, ALL))


def test_alone_in_a_class() -> None:
    book = index_classes(np.array([5, 2, 5]))
    assert draw_classmates(book, 0, 0, np.arange(3)).tolist() == [2, 1, 0]


def test_the_classmates_teach_through_the_same_view() -> None:
    data, student = example.samples(flip=True), example.network().eval()
    seen = example.first(view=1, epoch=3.5)
    (lesson,) = cs_kd(data).lessons(student, seen)
    others = draw_classmates(index_classes(data.labels), data.seed, 3, seen.indices)
    want, other = (student(*example.seen(data.batch(others, view)).inputs) for view in (1, 0))
    assert torch.allclose(lesson.signals["teacher_logits"], want, atol=1e-6)
    assert not torch.allclose(want, other, atol=1e-3)


def test_who_reads_layers_finds_the_batch_s_own() -> None:
    student, seen = example.network().train(), example.first()
    with Taps(student, ["fc"]) as values:
        (lesson,) = cs_kd(example.samples()).lessons(student, seen)
    assert torch.equal(values["fc"], lesson.signals["student_logits"])
    assert values["fc"].requires_grad
