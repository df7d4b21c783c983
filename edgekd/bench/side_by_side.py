"""Workers that time nothing, as many at once as there are cores: their answers do not depend on one another."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
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
Outcome = tuple[int, R | None, BaseException | None]
"""Number of an item, and what came of it."""


def choose_width(data: Dataset, device: Device) -> int:
    """Return how many workers may answer at once: another machine has a queue of its own, and a task of a user's own is
    judged here, by code that may mind threads."""
    if device is not local.DEVICE or data.task not in BUILT_IN:
        return 1
    return min(count_cores(), MOST)


def map_side_by_side(ask: Callable[[T], R], items: Sequence[T], width: int) -> Iterator[R]:
    """Yield what `ask` gives for each item, in their order.

    The threads only wait for workers. They end with this process, and workers end with their thread: an interruption
    waits for none.

    Args:
        ask: runs workers, one behind the other.
        items: what it is asked.
        width: how many items are asked at once.

    Raises:
        BaseException: what `ask` raised for the first item for which it did; no item is begun after that.
    """
    if width < 2:
        yield from map(ask, items)
        return
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    ended: queue.SimpleQueue[Outcome[R]] = queue.SimpleQueue()
    for number in range(len(items)):
        waiting.put(number)
    stop = threading.Event()
    for _ in range(width):
        threading.Thread(target=_work, args=(ask, items, waiting, ended, stop), daemon=True).start()
    outcomes: dict[int, Outcome[R]] = {}
    try:
        for number in range(len(items)):
            while number not in outcomes:
                outcome = ended.get()
                outcomes[outcome[0]] = outcome
            _, result, error = outcomes.pop(number)
            if error is not None:
                raise error
            yield result  # type: ignore[misc]
    finally:
        stop.set()


def _work(
    ask: Callable[[T], R],
    items: Sequence[T],
    waiting: queue.SimpleQueue[int],
    ended: queue.SimpleQueue[Outcome[R]],
    stop: threading.Event,
) -> None:
    while not stop.is_set():
        try:
            number = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            ended.put((number, ask(items[number]), None))
        except BaseException as error:
            ended.put((number, None, error))
