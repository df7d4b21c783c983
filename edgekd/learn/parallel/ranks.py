"""The processes that torchrun starts for one training run, and what they tell one another."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch import distributed
from torch import nn

from edgekd.errors import InputError
from edgekd.progress import Progress
from edgekd.progress import Silent

Made = TypeVar("Made")


def join(batch_size: int) -> None:
    """Meet the other ranks, if torchrun started some; they stay together as long as the process.

    Raises:
        InputError: if they cannot share a batch evenly.
    """
    if launched_count() > 1 and not distributed.is_initialized():
        gpus, backend = torch.cuda.device_count(), "gloo"
        if gpus:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % gpus)
            backend = "nccl" if gpus >= int(os.environ["LOCAL_WORLD_SIZE"]) else "gloo"
        distributed.init_process_group(backend)
        atexit.register(distributed.destroy_process_group)
    if batch_size % count():
        raise InputError(
            f"train.batch_size: got {batch_size}, want a multiple of {count()}, the number of ranks"
        )


def launched_count() -> int:
    """Return how many processes torchrun started, whether or not they have met yet; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def count() -> int:
    """Return how many ranks learn together; 1 without torchrun."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Return which of them this is, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def devices() -> list[int] | int:
    """Return what Fabric is to train on: this rank's GPU, or the CPU."""
    return [torch.cuda.current_device()] if torch.cuda.is_available() else 1


def silence_others(progress: Progress) -> Progress:
    """Return `progress` on the first rank, silence on the others."""
    return Silent() if rank() else progress


def run_on_first(work: Callable[[], float]) -> float:
    """Run `work` on the first rank alone; all get its result."""
    if count() == 1:
        return work()
    found = torch.tensor(0.0 if rank() else work(), dtype=torch.float64)
    if distributed.get_backend() == "nccl":
        found = found.cuda()
    distributed.broadcast(found, 0)
    return float(found)


def run_in_turn(work: Callable[[], Made]) -> Made:
    """Run `work` on each rank: the first before the others, and none goes on before all have."""
    if count() == 1:
        return work()
    if rank():
        distributed.barrier()
    found = work()
    if not rank():
        distributed.barrier()
    distributed.barrier()
    return found


def average_gradients(module: nn.Module) -> None:
    """Give every parameter of `module` the mean of its gradients over the ranks."""
    if count() == 1:
        return
    found = [p.grad for p in module.parameters() if p.grad is not None]
    for kind in dict.fromkeys(gradient.dtype for gradient in found):
        gradients = [gradient for gradient in found if gradient.dtype == kind]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= count()
        parts = flat.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def gather(tensor: Tensor) -> Tensor:
    """Gather the ranks' tensors [n, ...] behind one another: [B, ...], without gradient."""
    mine = tensor.detach().contiguous()
    slices = [torch.empty_like(mine) for _ in range(count())]
    distributed.all_gather(slices, mine)
    return torch.cat(slices)


def slice_own(tensor: Tensor) -> Tensor:
    """Return this rank's slice [n, ...] of what all know: [B, ...]."""
    return tensor.chunk(count())[rank()]
