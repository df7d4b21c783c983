"""Reads weights from files that may be hostile, and puts them into a model.

Two forms are read: safetensors, and what ``torch.save`` writes of a state dict. Each is checked for
its structure first (`edgekd.learn.formats.header`, `edgekd.learn.formats.archive`); nothing in a file is ever run.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import safetensors.torch
import torch
from torch import Tensor
from torch import nn

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.formats import archive
from edgekd.learn.formats import header
from edgekd.units import bytes_text

TORCH_SUFFIXES = (".pt", ".pth", ".bin")
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
_DTYPES = frozenset(
    {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool}
    | {torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8}
)
_PREFIX = "module."


def read(path: Path, *, suffix: str | None = None) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a state dict in a ``.pt``, ``.pth`` or ``.bin`` file.

    A state dict may lie in a dict under ``state_dict``, ``model_state_dict``, ``model`` or ``net``;
    the ``module.`` that data-parallel training puts before every name is taken off.

    Args:
        path: the file.
        suffix: says which form it has; None is the path's own ending.

    Returns:
        Name to tensor, on the CPU, all finite.

    Raises:
        InputError: if it is no regular file, is larger than memory allows, holds something else
            than its ending says, is damaged, asks for code to run, or has a value that is no number.
    """
    suffix = (path.suffix if suffix is None else suffix).lower()
    data = _bytes(path, suffix)
    try:
        tensors = _parse(suffix, data)
        _check_tensors(tensors, len(data))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    if all(name.startswith(_PREFIX) for name in tensors):
        tensors = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}
    return tensors


def load_into(model: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Copy `tensors` into `model`, each by its name; tied tensors may be there under one name.

    Args:
        model: takes the values, in its own types.
        tensors: name to tensor.
        where: what the tensors came from, for the message.

    Raises:
        InputError: if a name is missing or unknown, or a shape differs.
    """
    own = model.state_dict()
    given = dict(tensors)
    for names in tied(own):
        known = next((given[name] for name in names if name in given), None)
        if known is not None:
            given = {**dict.fromkeys(names, known), **given}
    _check_fit(own, given, where)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(given[name])


def tied(tensors: Mapping[str, Tensor]) -> list[list[str]]:
    """The names that stand for one and the same tensor, sorted; only groups of two and more."""
    groups: dict[Any, list[str]] = {}
    for name in sorted(tensors):
        tensor = tensors[name]
        if tensor.numel():
            key = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
            groups.setdefault(key, []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _bytes(path: Path, suffix: str) -> bytes:
    if suffix not in (".safetensors", *TORCH_SUFFIXES):
        want = ", ".join((".safetensors", *TORCH_SUFFIXES))
        raise InputError(f"{path}: got the ending {suffix!r}, want one of {want}")
    with files.open_regular(path) as file:
        size_bytes = file.seek(0, 2)
        # The bytes, the tensors made of them and the model they go into lie in memory at once.
        limit_bytes = psutil.virtual_memory().available // 3
        if size_bytes > limit_bytes:
            raise InputError(
                f"{path}: got {bytes_text(size_bytes)}, "
                f"want at most {bytes_text(limit_bytes)}, a third of the free memory"
            )
        file.seek(0)
        data: bytes = file.read(size_bytes)
    if not data:
        raise InputError(f"{path}: got an empty file, want weights")
    return data


def _parse(suffix: str, data: bytes) -> dict[str, Tensor]:
    form = _form(data)
    wanted = ("safetensors",) if suffix == ".safetensors" else ("a zip file", "an old torch file")
    if form not in wanted:
        want = "safetensors" if suffix == ".safetensors" else "a state dict written by torch.save"
        raise ValueError(f"got {form}, want {want}, as the ending {suffix} says")
    if form == "safetensors":
        header.check(data)
        try:
            return safetensors.torch.load(data)
        except Exception as error:
            raise ValueError(f"got damaged safetensors: {_first_line(error)}") from error
    return _state_dict(archive.load(data))


def _form(data: bytes) -> str:
    """What the first bytes say the file is."""
    if data.startswith(archive.ZIP_MAGIC):
        return "a zip file"
    if data[8:9] == b"{":
        return "safetensors"
    if data.startswith(archive.LEGACY_MAGIC):
        return "an old torch file"
    if data[:1] in (b"\x80", b"(", b"c"):
        return "a pickle"
    return "unknown content"


def _state_dict(loaded: object) -> dict[str, Tensor]:
    if not isinstance(loaded, dict):
        raise ValueError(f"got {type(loaded).__name__}, want a dict of tensors")
    inner = next((loaded[name] for name in _WRAPPERS if isinstance(loaded.get(name), dict)), loaded)
    for name, value in inner.items():
        if not isinstance(name, str):
            raise ValueError(f"got a key of type {type(name).__name__}, want names of tensors")
        if type(value) not in (Tensor, nn.Parameter):
            raise ValueError(f"{_short(name)}: got {type(value).__name__}, want a tensor")
    return {name: value.detach() for name, value in inner.items()}


def _check_tensors(tensors: Mapping[str, Tensor], size_bytes: int) -> None:
    if not tensors:
        raise ValueError("got no tensors, want weights")
    total_bytes = 0
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.dtype not in _DTYPES or tensor.is_meta:
            raise ValueError(f"{_short(name)}: got a tensor of {tensor.dtype}, {tensor.layout}")
        # A stride of 0 lets four bytes claim to be a terabyte.
        total_bytes += tensor.numel() * tensor.element_size()
        if total_bytes > 4 * size_bytes:
            raise ValueError(f"got tensors larger than their file at {_short(name)}")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{_short(name)}: got NaN or infinity, want finite weights")


def _check_fit(own: Mapping[str, Tensor], given: Mapping[str, Tensor], where: str) -> None:
    wrong = [name for name in own if name in given and own[name].shape != given[name].shape]
    missing = [name for name in own if name not in given]
    unexpected = [name for name in given if name not in own]
    if not (wrong or missing or unexpected):
        return
    if not missing and not unexpected:
        _check_classes(own, given, wrong, where)
    faults = []
    if missing:
        faults.append(f"missing {_listed(missing)}")
    if unexpected:
        faults.append(f"unexpected {_listed(unexpected)}")
    if wrong:
        shapes = (f"{_short(n)} {list(given[n].shape)} for {list(own[n].shape)}" for n in wrong)
        faults.append(f"of wrong shape {_listed(list(shapes))}")
    raise InputError(f"{where}: the weights do not fit the model: {'; '.join(faults)}")


def _check_classes(
    own: Mapping[str, Tensor], given: Mapping[str, Tensor], wrong: list[str], where: str
) -> None:
    """A message of its own if only the last layer's first size differs.

    Raises:
        InputError: then.
    """
    last = [name for name in own if own[name].ndim][-1]
    layer = last.rpartition(".")[0]
    only_rows = all(
        name.rpartition(".")[0] == layer and own[name].shape[1:] == given[name].shape[1:]
        for name in wrong
    )
    if only_rows:
        name = wrong[0]
        raise InputError(
            f"{where}: weights have {given[name].shape[0]} classes, data has {own[name].shape[0]}"
        )


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    shown = ", ".join(_short(name) for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def _first_line(error: BaseException) -> str:
    return _short((str(error).strip().splitlines() or [type(error).__name__])[0])


def write(state: Mapping[str, Tensor], path: Path) -> None:
    """Write a state as safetensors; the same state, the same bytes.

    Floating-point tensors are stored as float32, tied tensors once, under the first of their names.
    """
    again = {name for names in tied(state) for name in names[1:]}
    tensors = {name: _plain(state[name]) for name in sorted(state) if name not in again}
    path.write_bytes(safetensors.torch.save(tensors))


def _plain(tensor: Tensor) -> Tensor:
    """A contiguous copy of its own, in float32 if it is a floating-point tensor."""
    kind = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", kind, copy=True).contiguous()
