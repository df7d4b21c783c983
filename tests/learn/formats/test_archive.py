"""Each check before torch alone: the reason given shows that it was this one that refused."""

from __future__ import annotations

import argparse
import collections
import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.learn.formats import archive

STATE = {"w": torch.arange(6.0)}


def saved(*, old: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(STATE, stream, _use_new_zipfile_serialization=not old)
    return stream.getvalue()


def changed(change: Callable[[str, bytes], bytes], *extra: str) -> bytes:
    """The zip file with each entry's content changed, and more entries."""
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(io.BytesIO(saved())) as source:
        warnings.simplefilter("ignore", UserWarning)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as goal:
            for name in source.namelist():
                goal.writestr(name, change(name, source.read(name)))
            for name in extra:
                goal.writestr(name, b"")
    return stream.getvalue()


def same(_: str, content: bytes) -> bytes:
    return content


def damaged() -> bytes:
    data = bytearray(saved())
    data[data.index(STATE["w"].numpy().tobytes())] ^= 1
    return bytes(data)


REFUSED: dict[str, tuple[bytes, str]] = {
    "another size": (
        changed(lambda _, c: c.replace(b"K\x06t", b"M\x00\x40t")),
        "got 24 bytes of the tensor '0', want 65536",
    ),
    "no such tensor": (
        changed(lambda _, c: c.replace(b"X\x01\x00\x00\x000", b"X\x01\x00\x00\x007")),
        "got None bytes of the tensor '7', want 24",
    ),
    "bomb": (changed(lambda n, c: bytes(2**24) if "data/0" in n else c), "more than 4 times"),
    "damage": (damaged(), "damage in 'archive/data/0'"),
    "dots": (changed(same, "archive/../x"), "the path 'archive/../x'"),
    "absolute": (changed(same, "/x"), "the path '/x'"),
    "backslash": (changed(same, "archive\\x"), "the path"),
    "twice": (changed(same, "archive/data.pkl"), "comes twice"),
    "two pickles": (changed(same, "other/data.pkl"), "torch.save did not write"),
    "script": (changed(same, "archive/code/x.py"), "TorchScript"),
    "constants": (changed(same, "archive/constants.pkl"), "TorchScript"),
    "cut": (saved()[:-1], "damaged or cut short"),
    "old, another size": (
        saved(old=True).replace(b"K\x06N", b"J\x00\x00\x00\x40N"),
        "want 4294967296 of tensors",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    data, want = REFUSED[name]
    with pytest.raises(ValueError, match=want.replace("\\", "\\\\")):
        archive.load(data)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("around", [lambda model: model, lambda model: {"model": model}])
def test_a_whole_model_is_said_with_what_saves_its_weights(
    old: bool, around: Callable[[nn.Module], object]
) -> None:
    stream = io.BytesIO()
    whole = around(nn.Sequential(nn.Linear(1, 1)))
    torch.save(whole, stream, _use_new_zipfile_serialization=not old)
    want = r"got a whole model, .* \(it asks for torch\.nn\.modules\.container\.Sequential\), want its state dict: save"
    with pytest.raises(ValueError, match=want):
        archive.load(stream.getvalue())


class Namespace(argparse.Namespace):
    """Would run code if it were built."""

    def __setstate__(self, _: object) -> None:
        raise AssertionError("it was built")


@pytest.mark.parametrize("old", [False, True])
def test_harmless_types_are_not_built(old: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = {"args": argparse.Namespace(lr=0.1, path=Path("a")), "best": np.float32(0.5)}
    beside |= {"by": collections.defaultdict(list, a=[1]), "n": np.arange(2)}
    stream = io.BytesIO()
    torch.save({"state_dict": STATE, **beside}, stream, _use_new_zipfile_serialization=not old)
    monkeypatch.setattr(argparse, "Namespace", Namespace)
    monkeypatch.setattr(np._core.multiarray, "scalar", None)
    before = set(torch.serialization.get_safe_globals())
    loaded = archive.load(stream.getvalue())
    assert set(torch.serialization.get_safe_globals()) == before
    assert isinstance(loaded, dict) and torch.equal(loaded["state_dict"]["w"], STATE["w"])
    for name in ("args", "best", "n"):
        assert isinstance(loaded[name], archive.PlaceholderObject) and not vars(loaded[name])
    assert loaded["by"] == {"a": [1]}


@pytest.mark.parametrize("old", [False, True])
def test_torch_is_asked_for_weights_only(old: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    real = torch.load

    def load(stream: Any, **options: Any) -> Any:
        asked.append(options)
        return real(stream, **options)

    monkeypatch.setattr(torch, "load", load)
    loaded = archive.load(saved(old=old))
    assert isinstance(loaded, dict) and torch.equal(loaded["w"], STATE["w"])
    assert asked == [{"map_location": "cpu", "weights_only": True}]


def test_the_magic_of_old_files_is_torchs() -> None:
    assert saved(old=True).startswith(archive.LEGACY_MAGIC)
    assert saved().startswith(archive.ZIP_MAGIC)
