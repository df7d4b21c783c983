"""The collector is paused within, and as it was behind, whatever happens."""

from __future__ import annotations

import gc

import pytest

from edgekd.garbage import pause_collection


def test_pauses_and_goes_on() -> None:
    assert gc.isenabled()
    with pause_collection():
        assert not gc.isenabled()
        with pause_collection():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_goes_on_after_an_error() -> None:
    with pytest.raises(ValueError, match="within"), pause_collection():
        raise ValueError("within")
    assert gc.isenabled()


def test_stays_off_where_it_was_off() -> None:
    gc.disable()
    try:
        with pause_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
