"""Loads what ``torch.save`` wrote of a state dict, after checks that leave it nothing else to do.

Objects of known harmless types beside the weights become a `PlaceholderObject`.

There are two forms: a zip file of a pickle and the tensors' bytes, and, before torch 1.6, a row of
pickles followed by the bytes.
"""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections import OrderedDict

import torch

from edgekd.learn.formats import opcodes

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How files of torch before 1.6 begin: a pickle of torch's magic number."""
_LEGACY_PICKLES = 5
"""Magic number, protocol, system, the object, the storages' keys."""
_SLACK_BYTES = 2**20


class PlaceholderObject:
    """Stands for an object beside the weights, of which it holds nothing."""

    def __new__(cls, *_: object) -> PlaceholderObject:
        """Without the arguments."""
        return object.__new__(cls)

    def __init__(self, *_: object) -> None:
        """Without the arguments."""

    def __setstate__(self, _: object) -> None:
        """Without the state."""


def _empty_dict(*_: object) -> dict[str, object]:
    return {}


_STAND_INS: list[object] = [
    *(
        (type(name.rpartition(".")[2], (PlaceholderObject,), {}), name)
        for name in sorted(opcodes.READ_OVER)
    ),
    *(
        (_empty_dict if "default" in name else OrderedDict, name)
        for name in opcodes.READ_OVER_DICTS
    ),
]
"""What torch puts where a file names one of these types."""


def load(data: bytes) -> object:
    """Return what was saved.

    Raises:
        ValueError: if the file is damaged, is of another kind, or asks for more than tensors.
    """
    if data.startswith(ZIP_MAGIC):
        _check_zip(data)
    else:
        _check_legacy(data)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_STAND_INS):
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    # Whatever torch makes of a file that is wrong, it is the file that is wrong.
    except Exception as error:
        raise ValueError(f"torch cannot load it: {type(error).__name__}") from error


def _check_zip(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_entries(archive, len(data))
            damaged = archive.testzip()
            names = archive.namelist()
            program = _program(names)
            pickled = archive.read(program)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise ValueError("got a zip file that is damaged or cut short") from error
    if damaged is not None:
        raise ValueError(f"got a zip file with damage in {damaged[:80]!r}")
    root = program.removesuffix("data.pkl")
    sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    for stored in _storages(io.BytesIO(pickled), 1):
        got_bytes = sizes.get(f"{root}data/{stored.key}")
        if got_bytes != stored.size_bytes:
            raise ValueError(
                f"got {got_bytes} bytes of the tensor {stored.key[:80]!r}, want {stored.size_bytes}"
            )


def _check_entries(archive: zipfile.ZipFile, size_bytes: int) -> None:
    """No entry may leave its folder, come twice or be much larger than the file."""
    names = archive.namelist()
    if len(set(names)) != len(names):
        raise ValueError("got a zip file with a name that comes twice")
    for name in names:
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise ValueError(f"got a zip file with the path {name[:80]!r}")
    if sum(entry.file_size for entry in archive.infolist()) > 4 * size_bytes + _SLACK_BYTES:
        raise ValueError("got a zip file that unpacks to more than 4 times its size")


def _program(names: list[str]) -> str:
    """The one entry that holds the pickle."""
    folders = {name.split("/")[0] for name in names}
    found = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        raise ValueError("got a TorchScript program, want a state dict: save model.state_dict()")
    if len(found) != 1 or len(folders) != 1:
        raise ValueError("got a zip file that torch.save did not write")
    return found[0]


def _check_legacy(data: bytes) -> None:
    total_bytes = sum(stored.size_bytes for stored in _storages(io.BytesIO(data), _LEGACY_PICKLES))
    if total_bytes > len(data):
        raise ValueError(f"got {len(data)} bytes, want {total_bytes} of tensors: it is cut short")


def _storages(stream: io.BytesIO, pickles: int) -> list[opcodes.StorageEntry]:
    try:
        return opcodes.read_storages(stream, pickles)
    except ValueError as error:
        stream.seek(0)
        if opcodes.asks_for_modules(stream, pickles):
            raise ValueError(
                f"got a whole model, which only its own code can open ({error}), want its state dict: "
                "save model.state_dict() where it was made"
            ) from error
        raise ValueError(
            f"got a pickle of more than tensors and settings: {error}, want what model.state_dict() gives"
        ) from error
