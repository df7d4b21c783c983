"""edgekd's own code for a device: one file, the same bytes for the same sources."""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgekd import __version__
from edgekd import files

LEFT_OUT = (
    "bundle",
    "cli",
    "gates",
    "gating",
    "learn",
    "plan",
    "recipe",
    "report",
    "stages",
)
"""Folders of the package no worker and no agent imports."""
PACKAGE = Path(__file__).parents[2]


class Payload(NamedTuple):
    """A zip file in memory."""

    sha256: str
    data: bytes


@functools.cache
def build_payload() -> Payload:
    """The package without `LEFT_OUT`, stored and not compressed: zlib's versions differ in bytes."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, text in _entries():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o600 << 16
            archive.writestr(entry, text)
    data = written.getvalue()
    return Payload(files.digest_bytes(data), data)


def _entries() -> Iterator[tuple[str, bytes]]:
    """Each file's name and bytes; and the version, where `importlib.metadata` looks for it."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE)
        if name.parts[0] not in LEFT_OUT:
            yield f"{PACKAGE.name}/{name.as_posix()}", path.read_bytes()
    metadata = f"Metadata-Version: 2.1\nName: edgekd\nVersion: {__version__}\n"
    yield f"edgekd-{__version__}.dist-info/METADATA", metadata.encode()


@functools.cache
def agent_source() -> bytes:
    """The text of the agent, which runs before the payload is there."""
    return (Path(__file__).parent / "agent.py").read_bytes()
