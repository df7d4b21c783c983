from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgekd import bundle
from edgekd.bundle import decisions
from edgekd.errors import InputError
from tests import bundle_example
from tests.bundle import numbers_example


def test_decisions_are_compared_as_the_task_does(tmp_path: Path) -> None:
    agree = decisions.find_agree(bundle.load_bundle(bundle_example.make(tmp_path)))
    assert agree is not None
    one, other = np.array([[2, 1, 0], [0, 0, 1.0]]), np.array([[9, 8, 7], [0, 1, 0.0]])
    assert agree({"logits": one}, {"logits": other}).tolist() == [1, 0]


def test_numbers_agree_by_how_near_they_are(tmp_path: Path) -> None:
    found = bundle.load_bundle(numbers_example.make(tmp_path, numbers_example.ONE))
    agree = decisions.find_agree(found)
    assert agree is not None
    one, other = ({"values": np.array(v)} for v in ([[1.0], [1.0], [1.0]], [[1.0], [1.505], [9.0]]))
    assert agree(one, other).tolist() == pytest.approx([1, 0.5, 0])


def test_the_authors_own_task_is_not_run(tmp_path: Path) -> None:
    found = bundle.load_bundle(bundle_example.make(tmp_path))
    for task in ("python:no_such_module:TASK", "python:os:system"):
        own = dataclasses.replace(found.dataset, task=task)
        assert decisions.find_agree(found._replace(dataset=own)) is None
    other = dataclasses.replace(found.dataset, task="parsing")
    with pytest.raises(InputError, match="unknown 'parsing'"):
        decisions.find_agree(found._replace(dataset=other))


def test_what_cannot_be_compared_agrees() -> None:
    said = {"logits": np.zeros((4, 3)), "values": np.zeros((4, 1))}
    assert decisions.agree_always(said, said).tolist() == [1, 1, 1, 1]
