"""Batches of anybody's loader: what the network takes, what its answers are compared with."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor
from torch import nn
from torch.utils.data import Dataset
from torch.utils.data import IterableDataset

from edgekd.errors import InputError
from edgekd.learn.data.loader import Batch

LABELS, INDICES = "labels", "indices"
"""The name of targets that have none, and of the numbers of samples in the training set."""


class OwnBatch(NamedTuple):
    """One batch of a user's loader."""

    inputs: tuple[Tensor, ...]
    """Each [B, ...], in the order in which the network takes them."""
    targets: Mapping[str, Tensor]
    """Each [B, ...]; empty without labels."""
    indices: Tensor | None
    """[B], the numbers of the samples in the training set, where the loader tells."""

    def number_samples(self, start: int) -> Batch:
        """The batch as the training loop takes it; its samples are numbered from `start` where they have no numbers."""
        count = len(self.inputs[0])
        if self.indices is None:
            indices = np.arange(start, start + count, dtype=np.int64)
        else:
            indices = self.indices.cpu().numpy().astype(np.int64)
        return Batch(indices, 0, self.inputs, dict(self.targets))


def input_names(model: nn.Module) -> tuple[str, ...]:
    """Names of the parameters of the model's ``forward``, in order.

    Raises:
        InputError: if it is no module.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model: got {type(model).__name__}, want a torch.nn.Module")
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
    parameters = inspect.signature(model.forward).parameters
    return tuple(name for name, each in parameters.items() if each.kind in kinds)


def read_batch(value: Any, names: tuple[str, ...] = ()) -> OwnBatch:
    """Take a batch apart.

    Args:
        value: inputs; or ``(inputs, targets)``, where inputs is a tensor or a tuple of tensors, targets a tensor or a
            mapping by name; or a mapping, of which what the network takes by name are its inputs, ``indices`` numbers
            samples, and all else are targets.
        names: what the network takes, in order.

    Raises:
        InputError: if it is none of these.
    """
    if isinstance(value, Mapping):
        taken = [name for name in names if name in value]
        if not taken:
            raise InputError(
                f"batch: got {', '.join(map(str, value))[:100]}, want what the network takes: {', '.join(names)}"
            )
        rest = {name: each for name, each in value.items() if name not in (*taken, INDICES)}
        parts: tuple[Any, Any, Any] = (
            tuple(value[name] for name in taken),
            {name: each for name, each in rest.items() if isinstance(each, Tensor)},
            value.get(INDICES),
        )
    elif isinstance(value, tuple | list) and len(value) == 2:
        parts = (value[0], value[1], None)
    else:
        parts = (value, {}, None)
    inputs, targets, indices = parts
    inputs = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    targets = targets if isinstance(targets, Mapping) else {LABELS: targets}
    for each in (*inputs, *targets.values()):
        if not isinstance(each, Tensor) or not each.ndim:
            got = "a single number" if isinstance(each, Tensor) else type(each).__name__
            raise InputError(
                f"batch: got {got}, want a tensor, (inputs, targets), or a mapping by name, of several samples"
            )
    if len({len(each) for each in (*inputs, *targets.values())}) > 1:
        sizes = ", ".join(str(list(each.shape)) for each in (*inputs, *targets.values()))
        raise InputError(f"batch: got {sizes}, want as many samples in each")
    return OwnBatch(inputs, dict(targets), indices)


def require_batches(batches: Any) -> None:
    """
    Raises:
        InputError: if `batches` cannot be iterated, or give samples, or inputs and labels, in place of batches.
    """
    got, hint = type(batches).__name__, ""
    if isinstance(batches, Dataset) and not isinstance(batches, IterableDataset):
        hint = "torch.utils.data.DataLoader(dataset, batch_size=64, shuffle=True)"
    elif isinstance(batches, nn.Module):
        got, hint = f"the module {got}", "models stand before batches"
    elif isinstance(batches, Tensor) or _is_pair(batches):
        got = "a tensor" if isinstance(batches, Tensor) else "a pair of inputs and labels"
        hint = "DataLoader(TensorDataset(inputs, labels), batch_size=64, shuffle=True)"
    elif hasattr(batches, "__iter__") or hasattr(batches, "__getitem__"):
        return
    raise InputError(f"batches: got {got}, want a DataLoader or a list of batches", hint=hint)


def _is_pair(batches: Any) -> bool:
    """Whether these are the inputs and the labels of the same samples, and not two batches."""
    if not isinstance(batches, tuple | list) or len(batches) != 2:
        return False
    if not all(isinstance(each, Tensor) and each.ndim for each in batches):
        return False
    one, other = batches
    differ = one.dtype != other.dtype or one.ndim != other.ndim
    has_columns = isinstance(batches, tuple) and one.ndim == 2 and one.is_floating_point()
    differ = differ or (has_columns and one.shape[1:] != other.shape[1:])
    return differ and len(one) == len(other)


class LoaderSamples:
    """A user's loader as the training loop asks for it: the same number of batches every epoch."""

    def __init__(self, loader: Iterable[Any], names: tuple[str, ...]) -> None:
        """
        Args:
            loader: gives its batches anew each time it is iterated; what has no length is read into memory.
            names: what the network takes, in order.

        Raises:
            InputError: if it gives none, or no batches.
        """
        require_batches(loader)
        self.loader = loader if _has_length(loader) else list(loader)
        self.names, self.steps = names, len(self.loader)
        first = next(iter(self.loader), None)
        if first is None or not self.steps:
            raise InputError("batches: got none, want at least one")
        self.first = read_batch(first, names)
        self.batch_size = len(self.first.inputs[0])

    def __len__(self) -> int:
        return self.steps * self.batch_size

    def open(self, *, epoch: int, start: int, **_: object) -> Iterator[Batch]:
        """The batches of an epoch from number `start` on.

        Raises:
            InputError: if they are fewer than before.
        """
        number = 0
        for number, value in enumerate(self.loader, 1):
            if start < number <= self.steps:
                yield read_batch(value, self.names).number_samples((number - 1) * self.batch_size)
        if number < self.steps:
            raise InputError(
                f"batches: got {number} in epoch {epoch + 1}, want {self.steps} as at first",
                hint="give a DataLoader or a list, which can be read again",
            )


def _has_length(loader: Iterable[Any]) -> TypeGuard[Collection[Any]]:
    """Whether `loader` knows how many batches it gives; a DataLoader of a stream has the method and refuses."""
    try:
        len(loader)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def on_device(batch: Any, names: tuple[str, ...], device: torch.device) -> OwnBatch:
    """A batch taken apart, its tensors on `device`."""
    own = read_batch(batch, names)
    return own._replace(
        inputs=tuple(each.to(device) for each in own.inputs),
        targets={name: each.to(device) for name, each in own.targets.items()},
    )
