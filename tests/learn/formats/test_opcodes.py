"""The reader of pickle programs, alone: what passes, what is refused before torch sees it."""

from __future__ import annotations

import argparse
import collections
import datetime
import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekd.learn.formats import opcodes
from edgekd.learn.formats.opcodes import StorageEntry


def program(value: Any) -> bytes:
    """The pickle inside what torch saves of `value`."""
    stream = io.BytesIO()
    torch.save(value, stream)
    with zipfile.ZipFile(stream) as archive:
        return archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl")))


def test_finds_each_storage_once() -> None:
    shared = torch.zeros(6)
    value = OrderedDict(a=shared, b=shared[:2], c=torch.zeros(3, dtype=torch.int64))
    assert opcodes.read_storages(io.BytesIO(program(value))) == [
        StorageEntry("0", 24),
        StorageEntry("1", 24),
    ]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.bool, torch.int16])
def test_sizes_are_torchs(dtype: torch.dtype) -> None:
    tensor = torch.zeros(5, dtype=dtype)
    (stored,) = opcodes.read_storages(io.BytesIO(program([tensor])))
    assert stored.size_bytes == tensor.untyped_storage().nbytes()


def test_plain_values_pass() -> None:
    value = {
        "a": [1, -1, 2**40, 0.5, None, True, "x"],
        3: (1, (2, ())),
        "b": {"c": torch.Size([1])},
    }
    assert opcodes.read_storages(io.BytesIO(pickle.dumps(value, 2))) == []


def test_harmless_types_pass() -> None:
    value = {"args": argparse.Namespace(lr=0.1, path=Path("/a")), "n": np.float64(0.5)}
    value |= {"array": np.arange(3), "when": datetime.datetime(2026, 1, 2), "dtype": torch.float16}
    value |= {"by": collections.defaultdict(list), "device": torch.device("cpu"), "bytes": b"ab"}
    for numpy_core in (b"numpy._core", b"numpy.core"):
        pickled = pickle.dumps(value, 2).replace(b"numpy._core", numpy_core)
        assert opcodes.read_storages(io.BytesIO(pickled)) == []


def test_several_pickles_in_a_row() -> None:
    stream = io.BytesIO(pickle.dumps(1, 2) + program(torch.zeros(2)) + b"rest")
    assert opcodes.read_storages(stream, 2) == [StorageEntry("0", 8)]
    assert stream.read() == b"rest"


def deep() -> Any:
    value: Any = ()
    for _ in range(40):
        value = (value, value)
    return value


STORAGE = (
    b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
)
REFUSED = {
    "another function": (b"\x80\x02cos\nsystem\n.", "asks for os.system"),
    "a function of torch": (b"\x80\x02ctorch\nload\n.", "asks for torch.load"),
    "a dotted path": (b"\x80\x02ctorch._utils\n_rebuild_tensor.x\n.", "asks for"),
    "a call of a type": (b"\x80\x02ctorch\nFloatStorage\n)R.", "calls torch.FloatStorage"),
    "a call of a result": (b"\x80\x02ctorch\nSize\n)R)R.", "calls torch.Size"),
    "a call of a string": (b"\x80\x02X\x01\x00\x00\x00x)R.", "calls something"),
    "attributes of a size": (b"\x80\x02ctorch\nSize\n)R}b.", "sets attributes"),
    "attributes of a type": (b"\x80\x02ccollections\nOrderedDict\n}b.", "sets attributes"),
    "stack global": (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "has the operation"),
    "old instance": (b"(ios\nsystem\n.", "has the operation INST"),
    "extension": (b"\x80\x02\x82\x01.", "has the operation EXT1"),
    "new object": (b"\x80\x02ctorch\nSize\n)\x81.", "calls torch.Size"),
    "persistent text": (b"Pabc\n.", "has the operation PERSID"),
    "another reference": (b"\x80\x02X\x01\x00\x00\x00xQ.", "no tensor"),
    "a negative size": (STORAGE + b"J\xff\xff\xff\xfftQ.", "no known type or size"),
    "a size that is no number": (STORAGE + b"NtQ.", "no known type or size"),
    "two sizes": (STORAGE + b"K\x01tQ0"[:-1] + STORAGE[2:] + b"K\x02tQ.", "in two ways"),
    "a tuple as key": (b"\x80\x02}K\x01\x85K\x01s.", "dict key"),
    "a large number as key": (b"\x80\x02}\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x7fK\x01s.", "dict key"),
    "pairs as a dict": (b"\x80\x02ccollections\nOrderedDict\n]\x85R.", "no dict"),
    "deep tuples": (pickle.dumps(deep(), 2), "too deeply"),
    "a namespace as key": (b"\x80\x02}cargparse\nNamespace\n)\x81K\x01s.", "dict key"),
    "a new instance of a result": (b"\x80\x02cargparse\nNamespace\n)\x81)\x81.", "calls argparse"),
    "a filled dict": (b"\x80\x02cmunch\nMunch\n](K\x01K\x02\x86e\x85R.", "calls munch.Munch"),
    "another encoding": (
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x04\x00\x00\x00idna\x86R.", "encodes"
    ),
    "an encoding of nothing": (b"\x80\x02c_codecs\nencode\n)R.", "encodes"),
    "endless": (b"\x80\x02" + b"N" * 1_000_001, "more than 1000000 operations"),
    "nothing": (b"", "pickle exhausted"),
    "no end": (b"\x80\x02N", "pickle exhausted"),
    "no such memo": (b"\x80\x02h\x09.", "damaged"),
    "no mark": (b"\x80\x02t.", "damaged"),
    "empty stack": (b"\x80\x02R.", "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    data, want = REFUSED[name]
    with pytest.raises(ValueError, match=want):
        opcodes.read_storages(io.BytesIO(data))
