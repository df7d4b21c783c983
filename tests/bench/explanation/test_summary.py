from __future__ import annotations

import numpy as np
import pytest

from edgekd import files
from edgekd.bench.explanation import fidelity
from edgekd.bench.explanation import gains
from edgekd.bench.explanation import summary
from tests import explanation_example


def test_what_is_told_of_a_model() -> None:
    told, labels = explanation_example.answers()
    found = summary.summarize_model(told["student"], labels)
    right = (told["student"].argmax(1) == labels).mean()
    assert found["accuracy"] == right
    assert found["accuracy_ci95"].low < right < found["accuracy_ci95"].high
    assert len(found["reliability"]) == 15
    assert sum(one["samples"] for one in found["reliability"]) == len(labels)
    assert found["likelihood_nats_at_temperature"] < found["likelihood_nats"]


def test_the_student_is_set_beside_each_of_the_others() -> None:
    told, labels = explanation_example.answers()
    found = summary.summarize_differences(told, labels)
    right = {role: logits.argmax(1) == labels for role, logits in told.items()}
    for role in ("control", "teacher"):
        want = gains.compare_answers(right[role], right["student"])
        assert found["above"][role]["points"] == want.points
        assert found["above"][role]["points_ci95"] == want.interval
        mean = np.average(
            [row["above"][role]["points"] for row in found["by_class"]],
            weights=[row["samples"] for row in found["by_class"]],
        )
        assert mean == pytest.approx(want.points)
    copied = summary.summarize_differences({**told, "student": told["teacher"]}, labels)
    assert copied["fidelity"]["student"]["agreement"] == 1
    assert copied["fidelity"]["student"]["kl_nats"] == 0
    assert copied["confusions"] == [] and copied["above"]["teacher"]["points"] == 0
    below = 100 * (1 - found["fidelity"]["control"]["agreement"])
    assert copied["fidelity"]["above_control"]["points"] == pytest.approx(below)


def test_the_farthest_apart_are_named_with_their_distance() -> None:
    told, labels = explanation_example.answers()
    found = summary.summarize_differences(told, labels)["most_apart"]
    apart = fidelity.divergences(told["teacher"], told["student"])
    assert len(found) == summary.MOST_APART
    assert [one["kl_nats"] for one in found] == sorted(apart, reverse=True)[: len(found)]
    assert all(one["kl_nats"] == apart[one["index"]] for one in found)


def test_a_row_a_term() -> None:
    whole, without = np.array([True] * 12), {"kd": np.array([True] * 6 + [False] * 6)}
    (row,) = summary.summarize_terms(whole, without)
    assert (row["term"], row["accuracy"], row["accuracy_of_all"]) == ("kd", 0.5, 1.0)
    assert (row["points"], row["lost"], row["corrected"]) == (-50, 6, 0)
    assert row["p_value"] == row["p_holm"] == pytest.approx(2 / 2**6)


def test_all_of_it_is_json() -> None:
    assert files.canonical_json(explanation_example.content())
