"""Reads weights from files that may be hostile, and puts them into a model.

Three forms are read: safetensors, what ``torch.save`` writes of a state dict, and GGUF. Each is checked for its structure
first (`edgekd.learn.formats.header`, `archive` beside it, `edgekd.learn.gguf.reading`); nothing in a file is ever run.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import Literal

import psutil
import safetensors.torch
import torch
from torch import Tensor
from torch import nn

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.formats import archive
from edgekd.learn.formats import header
from edgekd.learn.formats.wrappers import LoadedState
from edgekd.learn.formats.wrappers import list_names
from edgekd.learn.formats.wrappers import shorten
from edgekd.learn.formats.wrappers import unwrap
from edgekd.learn.gguf.state import read_state
from edgekd.learn.model_hub import GGUF
from edgekd.units import bytes_text
from edgekd.units import number_text

TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".pth.tar", ".pt.tar")
DTYPES = frozenset(
    {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool}
    | {torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8}
)
"""Of the tensors that are read and written."""
_COUNTER = "num_batches_tracked"
"""A buffer of batch norms that only their own training reads; old files lack it."""
_AVERAGED = "n_averaged"
"""How many states torch's averaged model is the mean of."""
FINE_TUNING_HINT = (
    "say train beside the weights of a teacher, or begin learn with distil for a student, to fine-tune them with a head "
    "for the data's classes; or name theirs in classes, if the data's are among them"
)
"""Where the classes of weights are not those of the data."""
Allowed = Literal["extra", "missing"]
"""What a file may have beside the model's tensors, or lack of them."""


def read(path: Path, *, suffix: str | None = None) -> dict[str, Tensor]:
    """As `read_checkpoint`, the tensors alone."""
    return read_checkpoint(path, suffix=suffix).tensors


def read_checkpoint(path: Path, *, suffix: str | None = None) -> LoadedState:
    """The tensors of a safetensors file, or of what ``torch.save`` wrote.

    The weights may lie in a dict under a key of `edgekd.learn.formats.wrappers.WRAPPERS`.

    Args:
        path: the file.
        suffix: says which form it has; None is the path's own ending.

    Returns:
        Name to tensor, on the CPU, all finite; and how they were found.

    Raises:
        InputError: if it is no regular file, is larger than memory allows, holds something else
            than its ending says, is damaged, asks for code to run, or has a value that is no number.
    """
    ending = suffix_of(path.name) if suffix is None else suffix
    if ending == GGUF:
        return LoadedState(read_state(path), ())
    data = _bytes(path, ending)
    try:
        found = _parse(ending, data)
        _check_tensors(found.tensors, len(data))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    return found


def load_into(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    where: str,
    allow: Collection[Allowed] = (),
) -> tuple[str, ...]:
    """Copy `tensors` into `model`, each by its name; tied tensors may be there under one name.

    Args:
        model: takes the values, in its own types; what is missing stays as it is.
        tensors: name to tensor.
        where: what the tensors came from, for the message.
        allow: whether tensors may be missing, or be there that the model lacks. Counters always may.

    Returns:
        A sentence for the missing and for the extra names, if there are such.

    Raises:
        InputError: if a name is missing or unknown, or a shape differs.
    """
    own = model.state_dict()
    given = _untied(own, tensors)
    notes = _check_fit(own, given, where, allow)
    with torch.no_grad():
        for name, tensor in own.items():
            if name in given:
                tensor.copy_(given[name])
    return notes


def require_fit(
    own: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    where: str,
    allow: Collection[Allowed] = (),
) -> None:
    """Raises InputError unless `load_into` would copy `tensors` into a model of that state."""
    _check_fit(own, _untied(own, tensors), where, allow)


def _untied(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors`, and those of them that the model has under other names, too, under each of these."""
    given = dict(tensors)
    for names in find_tied(own):
        known = next((given[name] for name in names if name in given), None)
        if known is not None:
            given = {**dict.fromkeys(names, known), **given}
    return given


def find_tied(tensors: Mapping[str, Tensor]) -> list[list[str]]:
    """Find the names that stand for one and the same tensor, sorted; only groups of two and more."""
    groups: dict[Any, list[str]] = {}
    for name in sorted(tensors):
        tensor = tensors[name]
        if tensor.numel():
            key = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
            groups.setdefault(key, []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def suffix_of(name: str) -> str:
    """The ending of a file's name that says what it holds; that of ``w.pth.tar`` is ``.pth.tar``."""
    low = name.lower()
    return next((each for each in TORCH_SUFFIXES if low.endswith(each)), Path(low).suffix)


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


def _parse(suffix: str, data: bytes) -> LoadedState:
    form, is_safe = _form(data), suffix == ".safetensors"
    if form not in (("safetensors",) if is_safe else ("a zip file", "an old torch file")):
        want = "safetensors" if is_safe else "a state dict written by torch.save"
        raise ValueError(f"got {form}, want {want}, as the ending {suffix} says")
    if form == "safetensors":
        header.check_header(data)
        try:
            return LoadedState(safetensors.torch.load(data), ())
        except Exception as error:
            raise ValueError(f"got damaged safetensors: {_first_line(error)}") from error
    return unwrap(archive.load(data))


def _form(data: bytes) -> str:
    """Return what the first bytes say the file is."""
    if data.startswith(archive.ZIP_MAGIC):
        return "a zip file"
    if data[8:9] == b"{":
        return "safetensors"
    if data.startswith(archive.LEGACY_MAGIC):
        return "an old torch file"
    if data[:1] in (b"\x80", b"(", b"c"):
        return "a pickle"
    return "unknown content"


def _check_tensors(tensors: Mapping[str, Tensor], size_bytes: int) -> None:
    if not tensors:
        raise ValueError("got no tensors, want weights")
    total_bytes = 0
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.dtype not in DTYPES or tensor.is_meta:
            raise ValueError(f"{shorten(name)}: got a tensor of {tensor.dtype}, {tensor.layout}")
        # A stride of 0 lets four bytes claim to be a terabyte.
        total_bytes += tensor.numel() * tensor.element_size()
        if total_bytes > 4 * size_bytes:
            raise ValueError(f"got tensors larger than their file at {shorten(name)}")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{shorten(name)}: got NaN or infinity, want finite weights")


def _check_fit(
    own: Mapping[str, Tensor], given: Mapping[str, Tensor], where: str, allow: Collection[Allowed]
) -> tuple[str, ...]:
    counted = [name for name in own if not name.endswith(_COUNTER)]
    wrong = [name for name in own if name in given and own[name].shape != given[name].shape]
    differing: dict[Allowed, list[str]] = {
        "missing": [name for name in counted if name not in given],
        "extra": [name for name in given if name not in own and name != _AVERAGED],
    }
    another = differing["missing"] == counted  # nothing fits: nobody means that
    refused = [
        word for word, names in differing.items() if names and (another or word not in allow)
    ]
    if wrong and not refused:
        _check_classes(own, given, wrong, where)
    if wrong or refused:
        faults = [
            f"{_count(differing[word], word)}: {list_names(differing[word])}" for word in refused
        ]
        if wrong:
            shapes = [
                f"{shorten(n)} {list(given[n].shape)} for {list(own[n].shape)}" for n in wrong
            ]
            faults.append(f"{_count(shapes, 'of wrong shape')}: {list_names(shapes)}")
        words = ", ".join(sorted({*allow, *refused}))
        hint = "its knobs make another size: `edgekd models NAME` lists them, {name: resnet8, base: 8} sets one"
        if refused:
            hint = f"if that is meant, say allow: [{words}] beside weights"
        raise InputError(
            f"{where}: the weights do not fit the model: {'; '.join(faults)}",
            hint="they are another model's" if another else hint,
        )
    ends = {"missing": "as it is initialised", "extra": "out"}
    return tuple(
        f"{where}: {word} {list_names(names)}: left {ends[word]}"
        for word, names in differing.items()
        if names
    )


def _count(names: list[str], what: str) -> str:
    """``12 tensors missing``."""
    return f"{number_text(len(names), 'tensor')} {what}"


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
            f"{where}: weights have {given[name].shape[0]} classes, data has {own[name].shape[0]}",
            hint=FINE_TUNING_HINT,
        )


def _first_line(error: BaseException) -> str:
    return shorten((str(error).strip().splitlines() or [type(error).__name__])[0])


def write(state: Mapping[str, Tensor], path: Path) -> None:
    """Write a state as safetensors; the same state, the same bytes.

    Floating-point tensors are stored as float32, tied tensors once, under the first of their names.
    """
    again = {name for names in find_tied(state) for name in names[1:]}
    tensors = {name: _plain(state[name]) for name in sorted(state) if name not in again}
    path.write_bytes(safetensors.torch.save(tensors))


def _plain(tensor: Tensor) -> Tensor:
    """A contiguous copy of its own, in float32 if it is a floating-point tensor."""
    kind = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", kind, copy=True).contiguous()
