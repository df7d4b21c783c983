"""A bound on the memory that a decoder of foreign bytes may take, held by the operating system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekd.errors import InputError
from edgekd.units import bytes_text

try:
    import resource
except ImportError:  # Windows: nothing is bounded
    resource = None  # type: ignore[assignment]

_STATUS = Path("/proc/self/status")


@contextmanager
def memory_bound(more_bytes: int, where: str) -> Iterator[None]:
    """Within it this process may take `more_bytes` more memory than it has; then it is refused more.

    A library that is lied to about sizes runs out of memory instead of running the machine out of
    it. Where the system does not count a process's data (not Linux), nothing is bounded.

    Args:
        more_bytes: what honest bytes need at most.
        where: how to call them in a message.

    Raises:
        InputError: if what runs in it ran out of memory.
    """
    used_bytes = None if resource is None else _data_bytes()
    if used_bytes is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = used_bytes + more_bytes
        ceilings = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_DATA, (min([wanted, *ceilings]), hard))
    try:
        yield
    except MemoryError as error:
        raise InputError(
            f"{where}: unpacks to more than the {bytes_text(more_bytes)} that its sizes promise"
        ) from error
    finally:
        if used_bytes is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data_bytes() -> int | None:
    """Private writable memory that this process has reserved, as RLIMIT_DATA counts it."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith("VmData:")), None)
    return None if kilobytes is None else 1024 * int(kilobytes)
