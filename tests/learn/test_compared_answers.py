"""Models are compared some samples at a time, to the same rows, agreement and decisions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgekd import task as tasks
from edgekd.errors import InputError
from edgekd.learn import evaluation
from edgekd.learn.compared_answers import compare_answers
from edgekd.learn.compared_answers import decide_samples
from edgekd.learn.compared_answers import score_rows
from tests.learn.test_evaluation import VOCABULARY
from tests.learn.test_evaluation import Bigram
from tests.learn.test_evaluation import split


def two_models() -> dict[str, Bigram]:
    models = {"teacher": Bigram(), "student": Bigram()}
    with torch.no_grad():
        models["student"].table.weight += torch.randn(VOCABULARY, VOCABULARY)
    return models


@pytest.mark.parametrize("places", [1, 2 * 7, 7 * 7])
def test_what_is_compared_does_not_depend_on_how_much_is_held(
    monkeypatch: pytest.MonkeyPatch, places: int
) -> None:
    whole, models = split(), two_models()
    outputs = {role: whole.outputs(model) for role, model in models.items()}
    for model in models.values():
        model.sizes.clear()
    monkeypatch.setattr(evaluation, "MOST_OUTPUT_VALUES", places * VOCABULARY)
    reads = dict.fromkeys(models, whole)
    found = compare_answers(models, reads, "teacher")
    assert max(models["student"].sizes) == max(1, places // 7)
    task, data = whole.task, whole.dataset
    for role, given in outputs.items():
        want = tasks.metric_rows(task.metrics, given, whole.targets, data)
        for name, rows in found.rows[role].items():
            np.testing.assert_allclose(rows, want[name], rtol=1e-6)
    assert list(found.alike) == ["student"] and not found.logits
    if places == 7 * 7:  # else texts are filled up to the longest that is answered with them
        alike = tasks.agree_samples(task, outputs["teacher"], outputs["student"], data)
        assert found.alike["student"].tolist() == alike.tolist() and 0 < alike.mean() < 1
    score = score_rows("student", models["student"], whole)
    np.testing.assert_array_equal(score, found.rows["student"][task.score.name])
    numbers = [5, 0, 4, 1]
    pieces = list(decide_samples(models, reads, numbers))
    assert [number for some, _ in pieces for number in some] == numbers
    for some, decided in pieces:
        for role, each in decided.items():
            for number, tokens in zip(some, each["tokens"], strict=True):
                length = int(whole.rows["text"].lengths[number])  # type: ignore[union-attr]
                own = outputs[role]["logits"][number, :length].argmax(1)
                assert tokens[:length].tolist() == own.tolist()


def test_who_answers_what_is_no_number_is_named() -> None:
    whole, models = split(), two_models()
    with torch.no_grad():
        models["student"].table.weight[0, 0] = torch.nan
    with pytest.raises(InputError, match="student: got answers that are not finite"):
        compare_answers(models, dict.fromkeys(models, whole), "teacher")
