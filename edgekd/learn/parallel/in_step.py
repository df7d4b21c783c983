"""Ranks that share out one network's parameters and have unequally many batches: who has none left runs along."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from edgekd.learn.parallel import ranks


class InStep(NamedTuple):
    """Keeps a network running on all ranks at once.

    Before a rank runs it, it calls `ask`; where it would wait for the others it calls `wait`. So each time that any
    rank runs it, all do.
    """

    run_along: Callable[[], object]
    """Runs the network once on anything."""

    def ask(self) -> None:
        """Say that this rank runs the network now; the others do, too."""
        _is_asked(True)

    def wait(self) -> None:
        """Run along until all ranks wait."""
        while _is_asked(False):
            self.run_along()


def _is_asked(by_this_rank: bool) -> bool:
    """Whether any rank runs the network now; all ranks say at once whether they do."""
    return bool(ranks.gather_array(np.array([by_this_rank])).any())
