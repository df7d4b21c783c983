"""Out with a file from the page cache, so that loading it is as cold as after a boot; Linux."""

from __future__ import annotations

import os
from pathlib import Path


def evict(path: Path) -> str:
    """Ask the kernel to drop the pages of a file; "" if it did, else why it is still warm.

    The kernel keeps pages that are dirty (they are flushed first), mapped by another process, or
    that have nowhere to go (tmpfs).
    """
    if not hasattr(os, "posix_fadvise"):
        return "this system has no posix_fadvise"
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return _held(descriptor)
    except OSError as error:
        return f"posix_fadvise: {error.strerror}"
    finally:
        os.close(descriptor)


def _held(descriptor: int) -> str:
    """Return whether a page in the middle is still held: a read that may not wait then succeeds."""
    if not hasattr(os, "RWF_NOWAIT"):
        return ""
    middle = os.fstat(descriptor).st_size // 2
    try:
        os.preadv(descriptor, [bytearray(1)], middle, os.RWF_NOWAIT)
    except BlockingIOError:
        return ""
    except OSError:  # this file system cannot tell
        return ""
    return "the file stays in the page cache"
