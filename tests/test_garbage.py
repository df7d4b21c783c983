"""The collector is paused within, and as it was behind, whatever happens."""

from __future__ import annotations

import gc
import subprocess
import sys

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


PROGRAM = """
import gc, sys
from edgekd import garbage
from edgekd.learn.loading import load_torch

class Cycle:
    def __init__(self):
        self.own = self
    def __del__(self):
        print("found")

gc.disable()
if sys.argv[1] == "own":
    garbage.own_process()
load_torch()
cycle = Cycle()
del cycle
print(gc.get_freeze_count() > 100_000)
"""


@pytest.mark.parametrize(("whose", "said"), [("own", ["True"]), ("user", ["False", "found"])])
def test_only_a_process_of_its_own_ends_without_a_search(whose: str, said: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, whose], check=True, capture_output=True, text=True
    )
    assert ended.stdout.split() == said
