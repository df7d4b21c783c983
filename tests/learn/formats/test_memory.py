from __future__ import annotations

import resource

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.learn.formats.memory import memory_bound


def test_what_is_promised_is_given_and_no_more() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory_bound(2**28, "here"):
        assert np.ones(2**24, np.uint8).all()
    with (
        pytest.raises(InputError, match="here: unpacks to more than the 268 MB"),
        memory_bound(2**28, "here"),
    ):
        np.ones(2**30, np.uint8)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert np.ones(2**30, np.uint8).nbytes == 2**30


def test_other_errors_pass() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(KeyError), memory_bound(2**28, "here"):
        raise KeyError
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
