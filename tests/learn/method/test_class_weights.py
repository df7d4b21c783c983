"""Weights of classes, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from edgekd.errors import InputError
from edgekd.learn.losses.response.labels import cross_entropy
from edgekd.learn.method.class_weights import find_weights
from edgekd.learn.method.class_weights import weigh_classes
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.settings import Losses
from edgekd.learn.settings import Training
from tests import data_example

LOSSES = TypeAdapter(Losses)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0] * 7 + [1] * 2 + [2] * 300)
    want = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(find_weights("balanced", data_example.blank(labels, 3)), want)


def test_classes_that_are_not_named_weigh_one_and_others_are_refused() -> None:
    samples = data_example.blank(np.array([0, 1, 2]), 3)
    assert find_weights({"class 1": 3.0}, samples).tolist() == [1, 3, 1]
    with pytest.raises(InputError, match="class_weights: got 'klass 1', want classes") as fault:
        find_weights({"klass 1": 3.0}, samples)
    assert "class 1" in fault.value.hint


def test_cross_entropy_by_hand_and_as_before_without_weights() -> None:
    logits, labels = torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
    each = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    weights = torch.tensor([1.0, 3.0])
    found = cross_entropy(logits, labels, class_weights=weights)
    assert float(found) == pytest.approx(float((each * weights).sum() / 4))
    assert torch.equal(cross_entropy(logits, labels), each.mean())


def test_the_terms_on_labels_take_them_and_the_others_do_not() -> None:
    samples = data_example.blank(np.array([0, 1, 1, 2]), 3)
    training = Training.model_validate({"class_weights": "balanced"})
    assert training.class_weights is not None
    losses = LOSSES.validate_python([{"name": "cross-entropy"}, {"name": "kd"}])
    plain = bind_terms(losses)
    weighed = weigh_classes(plain, training.class_weights, samples)
    assert weighed[1] is plain[1]
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    signals = {"student_logits": logits, "labels": torch.tensor([0, 1, 1, 2])}
    want = torch.nn.functional.cross_entropy(
        logits, signals["labels"], torch.tensor([4 / 3, 2 / 3, 4 / 3])
    )
    assert torch.allclose(weighed[0].value(signals), want)
    assert not torch.allclose(plain[0].value(signals), want)


def test_a_key_without_them_stays_as_it_was() -> None:
    assert "class_weights" not in Training().model_dump()
    assert Training.model_validate({"class_weights": {"a": 2.0}}).class_weights == {"a": 2.0}
