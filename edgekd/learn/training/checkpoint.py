"""What a training run keeps so that a kill costs little: one file, whole or not there.

The file's name carries the step and its digest; what does not fit its name is passed over for the
one before it. Tensors are safetensors, the rest is JSON in its header. Nothing is pickled.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load
from safetensors.torch import save
from torch import Tensor

from edgekd import files
from edgekd.learn.weights import find_tied

KEPT = 2


def write(folder: Path, step: int, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Keep a checkpoint; the last two stay. Tied tensors are kept once, under the first of their names."""
    tied = find_tied(tensors)
    again = {name for names in tied for name in names[1:]}
    whole = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in tensors.items()
        if name not in again
    }
    data = save(whole, metadata={"values": json.dumps(values), "tied": json.dumps(tied)})
    path = folder / f"{step:012d}-{files.digest_bytes(data)}.safetensors"
    files.write_bytes(path, data)
    # After a rollback the same step is kept anew: names alone would not say which is the newer.
    others = [old for old in _all(folder) if old != path]
    same = [old for old in others if old.name[:12] == path.name[:12]]
    earlier = [old for old in others if old not in same]
    for old in (*same, *earlier[: 1 - KEPT]):
        files.remove(old)


def read_newest(folder: Path) -> bytes | None:
    """Read the last checkpoint that is whole; None if there is none."""
    files.sweep_temporaries(folder)
    for path in reversed(_all(folder)):
        data = path.read_bytes()
        if files.digest_bytes(data) == path.stem.partition("-")[2]:
            return data
        files.remove(path)
    return None


def parse(data: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and values of what `read_newest` gave."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    told, tensors = header["__metadata__"], load(data)
    for first, *others in json.loads(told["tied"]):
        tensors |= dict.fromkeys(others, tensors[first])
    return tensors, json.loads(told["values"])


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("*-*.safetensors"))


def flatten_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's moments by parameter number and name; its settings come from the recipe."""
    return {
        f"{number}.{name}": value
        for number, moments in optimizer.state_dict()["state"].items()
        for name, value in moments.items()
        if isinstance(value, Tensor)
    }


def list_owners(optimizer: torch.optim.Optimizer, names: Iterable[str]) -> dict[str, Tensor]:
    """For each name of `flatten_optimizer` the parameter that the moment belongs to."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {name: parameters[int(name.partition(".")[0])] for name in names}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `flatten_optimizer` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def add_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with `prefix` put before their names."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def strip_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, without it."""
    start = f"{prefix}/"
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}
