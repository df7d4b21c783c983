"""Large outputs are judged some samples at a time, to the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.bench import golden
from edgekd.dataset import Dataset
from edgekd.field import from_rows
from edgekd.fields.next_tokens import NextTokens
from edgekd.fields.number import Number
from edgekd.fields.tokens import Tokens
from edgekd.learn import chance
from edgekd.learn import evaluation
from edgekd.learn.evaluation import EvaluationSplit
from edgekd.task import interface_of
from edgekd.task import metric_rows
from edgekd.tasks.language_modelling import TASK

VOCABULARY = 12


class Bigram(nn.Module):
    """Logits [B, L, V] of a token alone; notes how many texts come at once."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(VOCABULARY, VOCABULARY)
        self.sizes: list[int] = []

    def forward(self, text: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(text))
        out: torch.Tensor = self.table(text)
        return out


def split() -> EvaluationSplit:
    draw = np.random.default_rng(0)
    lengths = (3, 7, 1, 4, 7, 2, 5)
    texts = [draw.integers(0, VOCABULARY, length).astype(np.int32) for length in lengths]
    rows: dict[str, Any] = {
        "text": from_rows(texts, texts[0]),
        "next_tokens": from_rows([np.roll(text, -1) for text in texts], texts[0]),
        "text_bytes": np.array([[3.0 * length] for length in lengths], np.float32),
    }
    dataset = Dataset(
        task="language-modelling",
        inputs={"text": Tokens(vocabulary=VOCABULARY, usual=4, longest=7)},
        targets={
            "next_tokens": NextTokens(vocabulary=VOCABULARY),
            "text_bytes": Number(columns=("bytes",), mean=(0.0,), std=(1.0,)),
        },
    )
    return EvaluationSplit(TASK, dataset, rows)


@pytest.mark.parametrize(("most", "sizes"), [(2**26, [7]), (2 * 7 * VOCABULARY, [2, 2, 2, 1])])
def test_rows_of_metrics_do_not_depend_on_how_many_are_answered_at_once(
    monkeypatch: pytest.MonkeyPatch, most: int, sizes: list[int]
) -> None:
    whole, model = split(), Bigram()
    want = metric_rows(TASK.metrics, whole.outputs(model), whole.targets, whole.dataset)
    model.sizes.clear()
    monkeypatch.setattr(evaluation, "MOST_OUTPUT_VALUES", most)
    found = whole.judge(model)
    assert model.sizes == sizes and set(found) == set(want)
    for name, rows in found.items():
        assert np.allclose(rows, want[name], rtol=1e-6)
    assert whole.score(model) == pytest.approx(TASK.score.value(want[TASK.score.name]))


def test_a_standing_is_that_of_the_outputs() -> None:
    whole, model = split(), Bigram()
    outputs, targets = whole.outputs(model), whole.targets
    rows = metric_rows(TASK.metrics, outputs, targets, whole.dataset)
    found = chance.find_standing(TASK, rows, targets, whole.dataset)
    assert found == chance.compute_standing(TASK, outputs, targets, whole.dataset)


def test_a_large_vocabulary_has_few_golden_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    interface = interface_of(TASK, split().dataset)
    assert golden.limit_samples(interface, 64) == 64
    monkeypatch.setattr(golden, "MOST_VALUES", 3 * 4 * VOCABULARY + 1)
    assert golden.limit_samples(interface, 64) == 3
    monkeypatch.setattr(golden, "MOST_VALUES", 1)
    assert golden.limit_samples(interface, 64) == 1
