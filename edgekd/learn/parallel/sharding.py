"""A network whose parameters are shared out over the ranks, and gathered block by block where they are needed.

Fully sharded data parallelism (Rajbhandari et al. 2020; Zhao et al. 2023) in torch's own form, `fully_shard`: each
rank keeps the rows of every parameter that are its share; before a block runs, all ranks send theirs, and what is not
a rank's own is dropped when it has run. What a block computes with are the same numbers, so its answers are the same
to the bit. Every rank must run it as often as the others.
"""

from __future__ import annotations

import contextlib
import ctypes

import torch
import torch.distributed
from torch import Tensor
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor import Shard

from edgekd.errors import MachineError
from edgekd.learn.parallel import ranks
from edgekd.learn.parallel.blocks import find_blocks

M_MMAP_THRESHOLD = -3
"""Of glibc's `mallopt`."""
LARGE_BYTES = 2**20


def shard_network(network: nn.Module, device: torch.device) -> int:
    """Share out a network's parameters in place; tensors that are no parameters stay whole.

    Args:
        network: its parameters lie as rows, not channels last; they may be on the meta device.
        device: where it runs.

    Returns:
        How many parts are gathered one at a time.

    Raises:
        MachineError: if there are fewer GPUs than ranks.
    """
    require_device(device)
    if device.type == "cpu":
        _return_freed_memory()
    mesh = init_device_mesh(device.type, (ranks.count(),))
    numbers = {p for p in network.parameters() if not p.ndim}  # which have no rows
    blocks = find_blocks(network)
    for part in (*blocks, network):
        fully_shard(part, mesh=mesh, reshard_after_forward=True, ignored_params=numbers)
    return len(blocks) + 1


def require_device(device: torch.device) -> None:
    """Raises MachineError unless ranks can share out parameters on such a device."""
    if device.type == "cuda" and torch.distributed.get_backend() != "nccl":
        raise MachineError(
            "sharded: got fewer GPUs than ranks, want one for each", hint="leave sharded out"
        )


def _return_freed_memory() -> None:
    """From now on the C library gives large blocks back to the system when they are freed. By itself glibc keeps ever
    larger ones, so that a network that is gathered bit by bit soon takes what it takes whole; other libraries are left
    as they are."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


def is_sharded(network: nn.Module) -> bool:
    """Return whether each rank holds a share of a network's parameters."""
    return isinstance(network, FSDPModule)


def find_own_rows(size: int) -> slice:
    """Find which of so many rows this rank keeps, as `Tensor.chunk` shares them out; none where there are too few."""
    most = -(-size // ranks.count())
    start = min(ranks.rank() * most, size)
    return slice(start, min(start + most, size))


def join_rows(own: Tensor, like: DTensor) -> DTensor:
    """The parameter `like`, with other values of which these are this rank's rows."""
    return DTensor.from_local(
        own,
        like.device_mesh,
        [Shard(0)],
        run_check=False,
        shape=like.shape,
        stride=like.stride(),
    )


def count_held_bytes(network: nn.Module) -> int:
    """Count the bytes of parameters and buffers that this rank keeps of a network."""
    tensors = (*network.parameters(), *network.buffers())
    own = (each.to_local() if isinstance(each, DTensor) else each for each in tensors)
    return sum(each.numel() * each.element_size() for each in own)
