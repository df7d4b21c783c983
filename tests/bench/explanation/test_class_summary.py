from __future__ import annotations

import numpy as np
import pytest

from edgekd import files
from edgekd.bench.explanation import class_summary
from edgekd.bench.explanation import fidelity
from edgekd.bench.explanation import gains
from tests import explanation_example


def test_what_is_told_of_a_model() -> None:
    told, labels = explanation_example.answers()
    found = class_summary.summarize_model(told["student"], labels)
    right = (told["student"].argmax(1) == labels).mean()
    assert found["accuracy"] == right
    assert found["accuracy_ci95"].low < right < found["accuracy_ci95"].high
    assert len(found["reliability"]) == 15
    assert sum(one["samples"] for one in found["reliability"]) == len(labels)
    assert found["likelihood_nats_at_temperature"] < found["likelihood_nats"]


def test_the_student_is_set_beside_each_of_the_others() -> None:
    logits, labels = explanation_example.answers()
    summary = class_summary.summarize_differences(logits, labels)
    right = {role: given.argmax(1) == labels for role, given in logits.items()}
    for role in ("control", "teacher"):
        want = gains.compare_answers(right[role], right["student"])
        mean = np.average(
            [row["above"][role]["points"] for row in summary["by_class"]],
            weights=[row["samples"] for row in summary["by_class"]],
        )
        assert mean == pytest.approx(want.points)
    copied = class_summary.summarize_differences({**logits, "student": logits["teacher"]}, labels)
    assert copied["fidelity"]["student"]["agreement"] == 1
    assert copied["fidelity"]["student"]["kl_nats"] == 0
    assert copied["confusions"] == []
    below = 100 * (1 - summary["fidelity"]["control"]["agreement"])
    assert copied["fidelity"]["above_control"]["points"] == pytest.approx(below)


def test_the_farthest_apart_are_named_with_their_distance() -> None:
    logits, _ = explanation_example.answers()
    rows = class_summary.find_farthest(logits["teacher"], logits["student"])
    apart = fidelity.compute_divergences(logits["teacher"], logits["student"])
    assert len(rows) == class_summary.MOST_APART
    assert [row["kl_nats"] for row in rows] == sorted(apart, reverse=True)[: len(rows)]
    assert all(row["kl_nats"] == apart[row["index"]] for row in rows)


def test_all_of_it_is_json() -> None:
    assert files.canonical_json(explanation_example.content())


def test_every_pair_of_true_and_named_class_is_counted() -> None:
    logits, labels = explanation_example.answers()
    counts = np.array(class_summary.count_pairs(labels, logits["student"]))
    named = logits["student"].argmax(1)
    assert counts.sum() == len(labels) and counts.trace() == (named == labels).sum()
    assert counts[1, 2] == ((labels == 1) & (named == 2)).sum()
    wide = np.zeros((3, class_summary.MOST_IN_MATRIX + 1), np.float32)
    assert class_summary.count_pairs(np.zeros(3, np.int64), wide) is None
