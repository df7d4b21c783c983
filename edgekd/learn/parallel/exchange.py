"""Memory that the ranks of one machine share, through which small tensors reach all of them.

A message of gloo's wakes three threads on either side and passes the network's code in the kernel: a quarter of a
millisecond of the processor, of which a step of a network with batch norms needs dozens. Here it is a copy, a semaphore
posted for every other rank, and one awaited from each. Semaphores order memory on any processor.

Every rank has two slots, used in turn. Whoever writes its slot again has heard from all others since that they were
through with the turn before, so nobody reads what is being written.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SLOT_BYTES = 2**20
"""Of the largest tensor; beyond it, what a message costs no longer counts."""
MEMORY = Path("/dev/shm")
_SEMAPHORE_BYTES = 64
"""More than `sem_t` has in any C library, and a line of the cache."""
_SPIN_S, _SLEEP_S = 100e-6, 0.05
"""How long a rank looks again and again before it sleeps, and how long it sleeps before it looks whether others live."""


class _Time(ctypes.Structure):
    """``struct timespec`` of a machine of 64 bits."""

    _fields_ = (("seconds", ctypes.c_int64), ("nanoseconds", ctypes.c_int64))


def is_possible() -> bool:
    """Whether this system has semaphores that processes share, and memory for them."""
    return sys.platform == "linux" and sys.maxsize > 2**32 and MEMORY.is_dir()


@contextmanager
def create_memory(ranks: int) -> Iterator[Path]:
    """A file for an `Exchange` of so many ranks, which is gone at the end: by then all must have opened it.

    Raises:
        OSError: if there is no room.
    """
    descriptor, name = tempfile.mkstemp(prefix="edgekd-ranks-", dir=MEMORY)
    try:
        try:
            os.posix_fallocate(descriptor, 0, _count_bytes(ranks))
            with mmap.mmap(descriptor, 0) as memory:
                _begin_semaphores(memory, ranks)
        finally:
            os.close(descriptor)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _count_bytes(ranks: int) -> int:
    return ranks * ranks * _SEMAPHORE_BYTES + 2 * ranks * SLOT_BYTES


def _begin_semaphores(memory: mmap.mmap, ranks: int) -> None:
    library = ctypes.CDLL(None)
    first = ctypes.c_char.from_buffer(memory)
    for number in range(ranks * ranks):
        place = ctypes.c_void_p(ctypes.addressof(first) + number * _SEMAPHORE_BYTES)
        if library.sem_init(place, 1, 0):
            raise OSError("sem_init: no semaphores that processes share")
    del first


class Exchange:
    """One rank's end of the memory; all ranks call its methods alike, with tensors of one form."""

    def __init__(self, path: Path, rank: int, processes: list[int]) -> None:
        """
        Args:
            path: the file of `create_memory`.
            rank: this one's number.
            processes: the process of each rank, in their order.

        Raises:
            OSError: if the file cannot be opened.
        """
        count, self._rank, self._processes = len(processes), rank, processes
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            memory = mmap.mmap(descriptor, _count_bytes(count))
        finally:
            os.close(descriptor)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        slots = torch.frombuffer(memory, dtype=torch.uint8, offset=count**2 * _SEMAPHORE_BYTES)
        self._slots, self._turn = slots.view(2, count, SLOT_BYTES), 0
        library = ctypes.CDLL(None)  # its calls let other threads run
        self._post: Callable[[Any], int] = library.sem_post
        self._try: Callable[[Any], int] = library.sem_trywait
        self._sleep: Callable[[Any, Any], int] = library.sem_timedwait

        def place(to: int, by: int) -> ctypes.c_void_p:
            return ctypes.c_void_p(start + (to * count + by) * _SEMAPHORE_BYTES)

        others = [other for other in range(count) if other != rank]
        self._to = [place(other, rank) for other in others]
        self._by = [(other, place(rank, other)) for other in others]

    def can_take(self, tensor: Tensor) -> bool:
        """Whether a tensor has the form for it."""
        fits = 0 < tensor.numel() * tensor.element_size() <= SLOT_BYTES
        return fits and tensor.device.type == "cpu" and tensor.is_contiguous()

    def add_up(self, tensor: Tensor) -> None:
        """Put the sum of the ranks' tensors into `tensor`, in the order of the ranks: the same bytes on all.

        Raises:
            ConnectionError: if another rank is gone.
        """
        first, second, *others = self._share(tensor)
        flat = tensor.view(-1)
        torch.add(first, second, out=flat)
        for each in others:
            flat += each

    def gather(self, tensor: Tensor) -> Tensor:
        """Gather the ranks' tensors [n, ...] behind one another: [B, ...].

        Raises:
            ConnectionError: if another rank is gone.
        """
        return torch.cat(self._share(tensor).unbind()).view(-1, *tensor.shape[1:])

    def _share(self, tensor: Tensor) -> Tensor:
        """The ranks' tensors, flat, one a row; valid until the call after the next."""
        self._turn ^= 1
        size = tensor.numel() * tensor.element_size()
        rows = self._slots[self._turn, :, :size].view(tensor.dtype)
        rows[self._rank].copy_(tensor.view(-1))
        for semaphore in self._to:
            self._post(semaphore)
        for other, semaphore in self._by:
            self._wait(other, semaphore)
        return rows

    def _wait(self, other: int, semaphore: ctypes.c_void_p) -> None:
        until = time.perf_counter() + _SPIN_S
        while self._try(semaphore):
            if time.perf_counter() < until:
                os.sched_yield()
                continue
            seconds, fraction = divmod(time.time() + _SLEEP_S, 1)
            if not self._sleep(semaphore, ctypes.byref(_Time(int(seconds), int(fraction * 1e9)))):
                return
            try:
                os.kill(self._processes[other], 0)
            except ProcessLookupError:
                raise ConnectionError(f"rank {other} is gone") from None
            except PermissionError:  # it lives
                continue
