"""CIFAR's binary form (Krizhevsky 2009): label bytes, then 3 planes of 32 x 32, record after record."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.download import RemoteFile
from edgekd.learn.download import cache_folder
from edgekd.learn.download import fetch
from edgekd.learn.download import not_found_error
from edgekd.learn.source import LabelledImages
from edgekd.learn.source import Source
from edgekd.learn.source import label_images

SIDE = 32
LIMIT_BYTES = 2**29
"""Of one file, and of all that is unpacked from the archive."""


class Kind(NamedTuple):
    """One of the two data sets."""

    name: str
    folder: str
    """Of the files, on disk and in the archive."""
    train: tuple[str, ...]
    test: str
    names: str
    """The text file of class names, one a line."""
    classes: int
    label_bytes: int
    """Before each image; the last one is the class."""
    archive: RemoteFile

    def members(self) -> list[str]:
        """The files, class names first, test images last."""
        return [self.names, *self.train, self.test]


def find_files(kind: Kind, data_dir: Path | None, allow_download: bool) -> list[Path]:
    """The files in the order of `Kind.members`, or the one archive.

    Raises:
        MachineError: if there is neither and it may not or cannot be downloaded.
    """
    archive = kind.archive.url.rpartition("/")[2]
    cache = cache_folder(kind.name)
    places = [*([data_dir, data_dir / kind.name] if data_dir else []), cache]
    for place in places:
        for folder in (place / kind.folder, place):
            if all((folder / name).exists() for name in kind.members()):
                return [folder / name for name in kind.members()]
        if (place / archive).exists():
            return [place / archive]
    if allow_download:
        return [fetch(kind.archive, cache)]
    raise not_found_error(kind.name, places)


def remote(kind: Kind, data_dir: Path | None) -> tuple[str, ...]:
    """The address of the archive, if `find_files` would download it."""
    try:
        find_files(kind, data_dir, allow_download=False)
    except MachineError:
        return (kind.archive.url,)
    return ()


def read(kind: Kind, paths: list[Path]) -> Source:
    """The data set from what `find_files` found.

    Raises:
        InputError: if a file or the archive is cut short, too large or not of this form.
    """
    if len(paths) == 1:
        contents = _from_archive(paths[0], kind)
    else:
        contents = {path.name: _bytes(path) for path in paths}
    where = str(paths[0].parent if len(paths) > 1 else paths[0])
    train = [_records(contents[name], kind, f"{where}: {name}") for name in kind.train]
    images, labels = (np.concatenate(arrays) for arrays in zip(*train, strict=True))
    test = _records(contents[kind.test], kind, f"{where}: {kind.test}")
    classes = _names(contents[kind.names], kind, f"{where}: {kind.names}")
    return label_images(LabelledImages(images, labels), None, test, classes)


def _bytes(path: Path) -> bytes:
    with files.open_regular(path) as file:
        data: bytes = file.read(LIMIT_BYTES + 1)
    if len(data) > LIMIT_BYTES:
        raise InputError(f"{path}: got more than {LIMIT_BYTES} bytes, want a file of this form")
    return data


def _records(data: bytes, kind: Kind, where: str) -> LabelledImages:
    size = kind.label_bytes + 3 * SIDE * SIDE
    if not data or len(data) % size:
        raise InputError(f"{where}: got {len(data)} bytes, want a multiple of {size}")
    rows = np.frombuffer(data, np.uint8).reshape(-1, size)
    planes = rows[:, kind.label_bytes :].reshape(-1, 3, SIDE, SIDE)
    labels = rows[:, kind.label_bytes - 1].astype(np.int64)
    return LabelledImages(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels)


def _names(data: bytes, kind: Kind, where: str) -> tuple[str, ...]:
    names = tuple(data.decode("utf-8", "replace").split())
    if len(names) != kind.classes:
        raise InputError(f"{where}: got {len(names)} class names, want {kind.classes}")
    return names


def _from_archive(path: Path, kind: Kind) -> dict[str, bytes]:
    """The wanted members, read one by one; no member's name is ever used as a path."""
    wanted = {f"{kind.folder}/{name}": name for name in kind.members()}
    contents: dict[str, bytes] = {}
    try:
        with files.open_regular(path) as file:
            stream: Any = _Bounded(gzip.GzipFile(fileobj=file))
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    name = wanted.get(member.name.removeprefix("./"))
                    # A sparse member could be a terabyte of holes.
                    plain = member.isreg() and not member.issparse()
                    inside = archive.extractfile(member) if name and plain else None
                    if name and inside:
                        contents[name] = inside.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as error:
        raise InputError(f"{path}: got no readable .tar.gz: {error}") from error
    missing = sorted(set(kind.members()) - set(contents))
    if missing:
        raise InputError(f"{path}: got no file {kind.folder}/{missing[0]}, want it")
    return contents


class _Bounded(io.RawIOBase):
    """A stream that refuses to give more than `LIMIT_BYTES`: an archive may unpack without end."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._left_bytes = LIMIT_BYTES

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes.

        Raises:
            ValueError: beyond the limit.
        """
        if size < 0 or size > self._left_bytes:
            raise ValueError(f"want {LIMIT_BYTES} bytes at most")
        data = self._stream.read(size)
        self._left_bytes -= len(data)
        return data
