"""A finished store of answers behind a URL, fetched shard by shard through fsspec; each counts only if its digest is right."""

from __future__ import annotations

import hashlib
import importlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path
from typing import Any
from typing import BinaryIO

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.knowledge import layout
from edgekd.learn.knowledge.layout import KnowledgeManifest
from edgekd.learn.knowledge_settings import MANIFEST

MOST_MANIFEST_BYTES = 2**24
CHUNK_BYTES = 2**20
LOCAL = ("file", "local", "memory")
"""Protocols that need no network."""


def is_url(text: str) -> bool:
    """Return whether a text names something that fsspec opens rather than a path."""
    return "://" in text


def needs_network(url: str) -> bool:
    """Return whether reading a URL leaves this machine."""
    return url.partition("://")[0] not in LOCAL


def fetch_manifest(url: str) -> KnowledgeManifest:
    """Fetch and read what a store behind a URL says of itself.

    Raises:
        InputError: if there is none.
        MachineError: if fsspec is missing, or the URL cannot be read.
    """
    with _open(url, MANIFEST) as file, tempfile.TemporaryDirectory() as folder:
        data = file.read(MOST_MANIFEST_BYTES + 1)
        path = Path(folder) / MANIFEST
        files.write_bytes(path, data)
        try:
            return layout.read_manifest(path)
        except InputError as error:
            raise InputError(f"{url}: {str(error).replace(f'{path}: ', '')}") from error


def fetch_shards(url: str, folder: Path) -> None:
    """Fetch a finished store's shards to where a fill goes on from them; those that are there already stay.

    A shard that is not what the manifest says is left out: the teacher is asked for it anew.

    Args:
        url: of the folder that `edgekd knowledge export` wrote.
        folder: that of `fill_store`, which refuses answers of something else.

    Raises:
        InputError: if there is no store.
        MachineError: if fsspec is missing, the URL cannot be read, or the disk is full.
    """
    manifest = fetch_manifest(url)
    for number, digest in enumerate(manifest.digests):
        goal = folder / f"{number:05}-{digest}.rows"
        size_bytes = manifest.layout.shard_bytes(number)
        if goal.is_file() and files.digest_file(goal, follow=False) == digest:
            continue
        with suppress(InputError):  # asked anew
            _fetch(url, layout.shard_name(number), goal, size_bytes, digest)
    files.write_bytes(folder / MANIFEST, files.canonical_json(manifest.describe()))


def _fetch(url: str, name: str, goal: Path, size_bytes: int, digest: str) -> None:
    """
    Raises:
        InputError: if the file is missing, or another one; `goal` is then not made.
    """

    def write(path: Path) -> None:
        found, left = hashlib.sha256(), size_bytes
        with _open(url, name) as source, path.open("r+b") as file:
            while left and (data := source.read(min(left, CHUNK_BYTES))):
                found.update(data)
                file.write(data)
                left -= len(data)
            more = bool(source.read(1))
        if left or more or found.hexdigest() != digest:
            raise InputError(f"{url}/{name}: got other bytes than its digest says")

    files.write_through(goal, write, size_bytes=size_bytes)


@contextmanager
def _open(url: str, name: str) -> Iterator[BinaryIO]:
    """A file of the folder behind a URL, for reading.

    Raises:
        InputError: if there is none.
        MachineError: if fsspec is missing, or the URL cannot be read.
    """
    try:
        fsspec: Any = importlib.import_module("fsspec")
    except ImportError as error:
        raise MachineError(
            f"{url}: got no fsspec, which reads URLs, want it installed",
            hint="pip install fsspec",
        ) from error
    where = f"{url.rstrip('/')}/{name}"
    try:
        with fsspec.open(where, "rb") as file:
            yield file
    except (InputError, MachineError):
        raise
    except FileNotFoundError as error:
        raise InputError(f"{where}: there is no such file") from error
    except Exception as error:  # file systems raise what they like
        first = (str(error).strip().splitlines() or [""])[0]
        raise MachineError(
            f"{where}: cannot be read: {type(error).__name__}: {first[:200]}"
        ) from error
