"""A file, or what lies behind a URL, opened to be read once from its beginning to its end."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from typing import BinaryIO

from edgekd import files
from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.errors import MachineError


@contextmanager
def open_stream(place: str) -> Iterator[BinaryIO]:
    """Open a path, or a URL through fsspec.

    Raises:
        InputError: if there is no such file.
        MachineError: if fsspec is missing, or the URL cannot be read to its end.
    """
    if "://" not in place:
        with files.open_regular(Path(place)) as file:
            yield file
        return
    try:
        fsspec: Any = importlib.import_module("fsspec")
    except ImportError as error:
        raise MachineError(
            f"{place}: got no fsspec, which reads URLs, want it installed",
            hint="pip install fsspec",
        ) from error
    try:
        with fsspec.open(place, "rb") as file:
            yield file
    except EdgekdError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{place}: there is no such file") from error
    except (OSError, ValueError, ImportError) as error:
        raise MachineError(
            f"{place}: cannot be read: {error}", hint="run the same command again: it goes on"
        ) from error
