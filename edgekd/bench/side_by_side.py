"""Workers that time nothing, as many at once as there are cores: their answers do not depend on one another."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from concurrent.futures import Future
from typing import TypeVar

from edgekd.cores import count_cores
from edgekd.dataset import Dataset
from edgekd.device import Device
from edgekd.devices import local
from edgekd.tasks import BUILT_IN

MOST = 2
"""Each holds an engine and a model of its own."""
T = TypeVar("T")
R = TypeVar("R")


def choose_width(data: Dataset, device: Device) -> int:
    """Return how many workers may answer at once: another machine has a queue of its own, and a task of a user's own is
    judged here, by code that may mind threads."""
    if device is not local.DEVICE or data.task not in BUILT_IN:
        return 1
    return min(count_cores(), MOST)


@contextlib.contextmanager
def begin_side_by_side(
    ask: Callable[[T], R], items: Iterable[T], width: int
) -> Iterator[Iterator[R]]:
    """Give what `ask` gives for each item, in their order; it is asked from now on, whatever the block does meanwhile.

    The threads only wait for workers. They end with this process, and workers end with their thread: an interruption
    waits for none.

    Args:
        ask: runs workers, one behind the other.
        items: what it is asked; none is begun after the block.
        width: how many items are asked at once; alone, each is asked when its answer is taken.

    Raises:
        BaseException: where an answer is taken, what `ask` raised for it; no item is begun after that.
    """
    if width < 2:
        yield map(ask, items)
        return
    items = list(items)
    answers: list[Future[R]] = [Future() for _ in items]
    turns, stop = itertools.count(), threading.Event()

    def work() -> None:
        while not stop.is_set() and (turn := next(turns)) < len(items):
            try:
                answers[turn].set_result(ask(items[turn]))
            except BaseException as error:
                answers[turn].set_exception(error)

    for _ in range(width):
        threading.Thread(target=work, daemon=True).start()
    try:
        yield (answer.result() for answer in answers)
    finally:
        stop.set()


def map_side_by_side(ask: Callable[[T], R], items: Iterable[T], width: int) -> Iterator[R]:
    """Yield what `ask` gives for each item, in their order, as `begin_side_by_side` does."""
    with begin_side_by_side(ask, items, width) as answers:
        yield from answers
