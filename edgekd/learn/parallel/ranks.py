"""The processes that learn together in one training run, and what they tell one another."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import distributed
from torch import nn

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.launch import environment
from edgekd.learn.parallel import exchange
from edgekd.learn.parallel.exchange import Exchange
from edgekd.progress import Progress
from edgekd.progress import Silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEETING_TIME = timedelta(minutes=10)
"""How long ranks wait for one another at the start."""
LOOPBACK = Path("/sys/class/net/lo")
PATIENCE = timedelta(days=7)
"""How long ranks wait while the first scores or writes; who is lost is found out by `edgekd.launch`."""


def require_even_batch(batch_size: int) -> None:
    """Raises InputError if the ranks cannot share a batch evenly."""
    if batch_size % count():
        raise InputError(
            f"train.batch_size: got {batch_size}, want a multiple of {count()}, the number of ranks"
        )


def count() -> int:
    """Return how many ranks learn together; the first who asks waits for all others. 1 without a launcher."""
    if (
        distributed.is_initialized()
    ):  # asked hundreds of times a step: the launcher's variables are not read again
        return 1 if environment.is_alone() else distributed.get_world_size()
    partners = environment.count_partners()
    if partners > 1:
        _join()
    return partners


_boards: list[distributed.Store] = []
"""Where the ranks of this process have met already; what a launcher offers keeps the words of an attempt that failed."""


def use_board(board: distributed.Store) -> None:
    """From now on ranks that come together leave their addresses on `board`."""
    _boards[:] = [board]


def open_board() -> distributed.Store:
    """The keys and values that a launcher gives all ranks to see.

    They may still hold what was written before a restart.
    """
    board, _, _ = next(distributed.rendezvous("env://", timeout=MEETING_TIME))
    return board


def _join() -> None:
    """Meet the other ranks; they stay together as long as the process."""
    gpus, backend = torch.cuda.device_count(), "gloo"
    launch = environment.read_launch()
    if gpus:
        torch.cuda.set_device(launch.local_rank % gpus)
        backend = "nccl" if gpus >= launch.local_size else "gloo"
    if launch.is_on_one_machine and LOOPBACK.exists():
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    board = _boards[0] if _boards else distributed.PrefixStore(attempt, open_board())
    distributed.init_process_group(
        backend, store=board, rank=launch.rank, world_size=launch.size, timeout=PATIENCE
    )
    atexit.register(distributed.destroy_process_group)
    if backend == "gloo" and launch.is_on_one_machine:
        _open_exchange()


_exchanges: list[Exchange] = []
"""What the ranks of this process share on one machine, if they can."""


def _open_exchange() -> None:
    """Share memory with the other ranks, all of this machine; if one cannot, none does."""
    with ExitStack() as held:
        own: Exchange | None = None
        processes = gather(torch.tensor([os.getpid()])).tolist()
        with contextlib.suppress(OSError):
            path = read_on_first(lambda: _create_memory(held, len(processes)))
            if path:
                own = Exchange(Path(os.fsdecode(path)), distributed.get_rank(), processes)
        if int(gather(torch.tensor([own is not None])).sum()) == len(processes) and own:
            _exchanges[:] = [own]


def _create_memory(held: ExitStack, count: int) -> bytes:
    """The name of a file for so many ranks; none where there can be none."""
    if exchange.is_possible():
        with contextlib.suppress(OSError):
            return os.fsencode(held.enter_context(exchange.create_memory(count)))
    return b""


def _find_exchange(tensor: Tensor) -> Exchange | None:
    """What such a tensor goes through on its way to the other ranks, if it is not a message."""
    return next((each for each in _exchanges if each.can_take(tensor)), None)


def rank() -> int:
    """Return which of them this is, from 0."""
    return distributed.get_rank() if count() > 1 else 0


def devices() -> list[int] | int:
    """Return what Fabric is to train on: this rank's GPU, or the CPU."""
    return [torch.cuda.current_device()] if torch.cuda.is_available() else 1


def silence_others(progress: Progress) -> Progress:
    """Return `progress` on the first rank, silence on the others."""
    return Silent() if rank() else progress


def run_on_first(work: Callable[..., float], *given: object) -> float:
    """Run `work` on the first rank alone with what it is `given`; all get its result."""
    if count() == 1:
        return work(*given)
    found = _to_shared(torch.tensor(0.0 if rank() else work(*given), dtype=torch.float64))
    distributed.broadcast(found, 0)
    return float(found)


def read_on_first(read: Callable[[], bytes | None]) -> bytes | None:
    """Read on the first rank alone; all get its bytes, or None as it does."""
    if count() == 1:
        return read()
    data = None if rank() else read()
    size = _to_shared(torch.tensor(-1 if data is None else len(data)))
    distributed.broadcast(size, 0)
    if int(size) < 0:
        return None
    whole = torch.frombuffer(bytearray(data or b"\0" * int(size)), dtype=torch.uint8)
    whole = _to_shared(whole)
    distributed.broadcast(whole, 0)
    return whole.cpu().numpy().tobytes()


def wait_for_all() -> None:
    """Go on when all ranks have come here."""
    if count() > 1:
        distributed.barrier()


def begin_alike(module: nn.Module) -> None:
    """Give all ranks the first one's parameters and buffers.

    Raises:
        MachineError: if their modules differ in more than values.
    """
    if count() == 1:
        return
    tensors = module.state_dict()
    form = "".join(f"{name} {tuple(each.shape)} {each.dtype}" for name, each in tensors.items())
    digest = torch.frombuffer(bytearray(hashlib.sha256(form.encode()).digest()), dtype=torch.uint8)
    if not bool((gather(_to_shared(digest)).view(count(), -1) == _to_shared(digest)).all()):
        raise MachineError(
            "ranks: got networks that differ from rank to rank before they are trained",
            hint="run all ranks on machines and packages of one kind",
        )
    _change_flat(list(tensors.values()), lambda flat: distributed.broadcast(flat, 0))


def average_gradients(module: nn.Module) -> None:
    """Give every parameter of `module` the mean of its gradients over the ranks."""
    if count() == 1:
        return

    def average(flat: Tensor) -> None:
        add_up(flat).div_(count())

    _change_flat([p.grad for p in module.parameters() if p.grad is not None], average)


def _change_flat(tensors: Sequence[Tensor], change: Callable[[Tensor], object]) -> None:
    """Change all tensors in place, those of one type as one: a message costs more than what is in it."""
    for kind in dict.fromkeys(each.dtype for each in tensors):
        alike = [each.detach() for each in tensors if each.dtype == kind]
        flat = torch.cat([each.flatten() for each in alike])
        change(flat)
        for each, part in zip(alike, flat.split([each.numel() for each in alike]), strict=True):
            each.copy_(part.view_as(each))


def _to_shared(tensor: Tensor) -> Tensor:
    """The tensor where messages are sent from."""
    return tensor.cuda() if distributed.get_backend() == "nccl" else tensor


def gather(tensor: Tensor) -> Tensor:
    """Gather the ranks' tensors [n, ...] behind one another: [B, ...], without gradient."""
    mine = tensor.detach().contiguous()
    if shared := _find_exchange(mine):
        return shared.gather(mine)
    slices = [torch.empty_like(mine) for _ in range(count())]
    distributed.all_gather(slices, mine)
    return torch.cat(slices)


def add_up(tensor: Tensor) -> Tensor:
    """Add the ranks' tensors up in place, without gradient."""
    if shared := _find_exchange(tensor):
        shared.add_up(tensor)
    else:
        distributed.all_reduce(tensor)
    return tensor


def gather_rows(rows: NDArray[np.float32], sizes: Sequence[int]) -> list[NDArray[np.float32]]:
    """Gather the rows of the first ranks, [n, ...] each.

    Args:
        rows: this rank's.
        sizes: how many each rank has; those of ranks beyond them are not taken.
    """
    if count() == 1:
        return [rows]
    padded = np.zeros((max(sizes), *rows.shape[1:]), np.float32)
    padded[: len(rows)] = rows[: max(sizes)]
    whole = gather(_to_shared(torch.from_numpy(padded))).cpu().numpy()
    return [whole[number * len(padded) :][:size] for number, size in enumerate(sizes)]


def gather_array(values: NDArray[Any]) -> NDArray[Any]:
    """Gather the ranks' arrays [n, ...] behind one another: [B, ...]."""
    return gather(_to_shared(torch.from_numpy(values))).cpu().numpy()


def slice_own(tensor: Tensor) -> Tensor:
    """Return this rank's slice [n, ...] of what all know: [B, ...]."""
    return tensor.chunk(count())[rank()]
