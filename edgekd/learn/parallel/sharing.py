"""Several ranks of torchrun learn what one process learns: networks are shared out, losses are not.

Every rank knows the whole batch. A network that is given images runs on this rank's slice of them, and
what it gives is gathered; whatever else a scheme, a companion or a loss computes, it computes on the
whole batch, on all ranks alike. So nothing that looks across the batch knows how many ranks there are.
Inside a network that is shared out

- batch norms use the statistics of the whole batch;
- dropout keeps what it would keep of the whole batch, for all ranks draw from one generator. Other
  chance inside a network (stochastic depth) is drawn for a slice, the same on each rank;
- who reads a layer asks `gather_batch` for it. Where a hook does not, the network is not shared out.

A loss is one number that all ranks know, so its gradient by what was gathered is the same everywhere. A
rank takes that of its slice, times the number of ranks; then the mean over ranks is the gradient of
every parameter, be it of a network that was shared out, of something that was not, or of both.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from edgekd.learn.parallel import ranks
from edgekd.learn.parallel import synchronized

READERS = (
    "edgekd.learn.method.taps",
    "edgekd.learn.method.outputs",
    "edgekd.learn.schemes.native_ensemble",
)
"""Files whose hooks know that what they read inside a network may be a slice."""
GATHERERS = "torch.distributed.fsdp."
"""Their hooks bring parameters, and read nothing."""


@contextmanager
def share_networks(inputs: tuple[Tensor, ...]) -> Iterator[None]:
    """Let every network that is given such inputs run on this rank's slice of them.

    Args:
        inputs: each [B, ...]; a network is whatever takes as many tensors, each [*, ...].
    """
    if ranks.count() == 1:
        yield
        return
    share = _Share(tuple(each.shape[1:] for each in inputs))
    before = _SHARE.set(share)
    try:
        yield
    finally:
        _SHARE.reset(before)
        share.close()


def gather_batch(tensor: Tensor) -> Tensor:
    """Gather [n, ...] from inside a shared network to [B, ...] of all ranks; else return `tensor` itself."""
    if not _sliced():
        return tensor
    gathered: Tensor = _Gathered.apply(tensor)
    return gathered


class _Share:
    """Waits for a network, sees it through, and waits for the next one.

    While a network runs nothing is asked of the modules inside: a hook on all modules makes every call slower.
    """

    def __init__(self, shapes: tuple[torch.Size, ...]) -> None:
        self.shapes = shapes
        self.sliced = False
        self.held = ExitStack()
        self.wait()

    def wait(self) -> None:
        """Let the next network that is given such inputs be met."""
        self.held.callback(register_module_forward_pre_hook(self.enter).remove)

    def enter(self, network: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not all(isinstance(each, Tensor) for each in given):
            return None
        if tuple(each.shape[1:] for each in given) != self.shapes:
            return None
        self.held.close()
        self.sliced = len(given[0]) % ranks.count() == 0 and _readable(network)
        # Before any other, so that whoever looks at what the network gives finds the whole batch.
        self.held.callback(network.register_forward_hook(self.leave, prepend=True).remove)
        if not self.sliced:
            return None
        self.held.enter_context(_AsOne())
        return tuple(_Slice.apply(each) for each in given)

    def leave(self, network: nn.Module, given: tuple[Any, ...], made: Any) -> Any:
        self.held.close()
        gathered = _each(gather_batch, made) if self.sliced else made
        self.sliced = False
        self.wait()
        return gathered

    def close(self) -> None:
        """Wait for no more."""
        self.held.close()
        self.sliced = False


_SHARE: ContextVar[_Share | None] = ContextVar("share", default=None)


def _sliced() -> bool:
    share = _SHARE.get()
    return share is not None and share.sliced


def _readable(network: nn.Module) -> bool:
    """Return whether all who read inside it know of slices."""
    waiting = [network]  # `Module.modules` takes ten times as long
    while waiting:
        module = waiting.pop()
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values()):
            if not _knows_slices(getattr(hook, "__module__", "")):
                return False
        waiting += filter(None, module._modules.values())
    return True


def _knows_slices(file: str) -> bool:
    return file in READERS or file.startswith(GATHERERS)


def _each(change: Callable[[Tensor], Tensor], made: Any) -> Any:
    """Return what a network gives, with every tensor changed."""
    if isinstance(made, Tensor):
        return change(made)
    if isinstance(made, dict):
        return {name: _each(change, value) for name, value in made.items()}
    if type(made) in (tuple, list):
        return type(made)(_each(change, value) for value in made)
    raise TypeError(f"got a network that gives {type(made).__name__}, want tensors")


class _Slice(torch.autograd.Function):
    """From the whole batch to a slice: the gradients of all slices are the batch's, once."""

    @staticmethod
    def forward(ctx: Any, batch: Tensor) -> Tensor:
        return ranks.slice_own(batch).clone(memory_format=torch.preserve_format)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return ranks.gather(gradients[0]) / ranks.count()


class _Gathered(torch.autograd.Function):
    """From a slice to the whole batch, whose gradient is the same on all ranks."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return ranks.gather(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return ranks.slice_own(gradients[0]) * ranks.count()


class _AsOne(TorchFunctionMode):
    """Within a network on a slice, batch norm and dropout do what they do to the whole batch."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is F.batch_norm:
            return synchronized.batch_norm(*args, **kwargs)
        if function in synchronized.DROPOUTS:
            return synchronized.dropout(function, *args, **kwargs)
        return function(*args, **kwargs)
