from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from edgekd.errors import MachineError
from edgekd.learn.data import digits
from tests.data_example import checked


def test_they_are_scikit_learns_digits() -> None:
    from sklearn.datasets import load_digits

    want = load_digits()
    got = checked(digits.read(), "digits")
    assert np.array_equal(got.train.labels, want.target)
    assert np.array_equal(got.train.images[..., 0], np.floor(want.images * 255 / 16 + 0.5))
    assert got.train.images.shape == (1797, 8, 8, 1)
    assert (got.train.images.min(), got.train.images.max()) == (0, 255)
    assert got.validation is None
    assert got.test is None
    assert got.classes == tuple("0123456789")


def test_scikit_learn_is_not_imported() -> None:
    code = (
        "import sys; from edgekd.learn.data import digits; digits.read();"
        "print([m for m in ('sklearn', 'torch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_without_scikit_learn_the_machine_is_to_blame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineError) as caught:
        digits.files()
    assert caught.value.hint == "pip install scikit-learn"


def test_a_plan_finds_the_file_without_numpy() -> None:
    program = (
        "import sys; from edgekd.learn.data import digits, source_text; "
        "assert digits.files()[0].is_file(); assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
