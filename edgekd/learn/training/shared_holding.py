"""A network that is trained while each rank holds a share of its parameters, gradients and moments."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch import distributed
from torch import nn
from torch.distributed.tensor import DTensor

from edgekd import units
from edgekd.learn.parallel import ranks
from edgekd.learn.parallel import sharding
from edgekd.learn.parallel.joining import join_parameters
from edgekd.learn.parallel.joining import note_forms
from edgekd.learn.training.run import TrainingRun

NORM_FLOOR = 1e-6
"""Added to a norm that is divided by, as torch does."""


class SharedHolding:
    """Each rank holds its rows of every parameter of the network; companions are whole everywhere.

    Backward passes sum what ranks found and leave each its rows of the mean, so only gradients of companions are sent
    afterwards. Tensors of a state are gathered for the checkpoint, which is what it is without sharing.
    """

    is_sharded = True

    def __init__(self, run: TrainingRun, device: torch.device) -> None:
        self._network = run.model.to(memory_format=torch.contiguous_format)
        self._forms = note_forms(self._network)
        parts = sharding.shard_network(self._network, device)
        held = units.bytes_text(sharding.count_held_bytes(self._network))
        run.progress.note(
            f"{ranks.count()} ranks share out the parameters, gathered in {parts} parts: {held} on each"
        )

    def average_gradients(self, trained: nn.Module) -> None:
        """Send the gradients of what is held whole."""
        ranks.average_gradients(
            nn.ParameterList(p for p in trained.parameters() if not _is_share(p))
        )

    def clip_gradients(
        self, fabric: Fabric, trained: nn.Module, optimizer: torch.optim.Optimizer, most: float
    ) -> None:
        """Clip by the norm over all ranks' rows and what is whole."""
        found = [p.grad for p in trained.parameters() if p.grad is not None]
        shares = [each.to_local() for each in found if isinstance(each, DTensor)]
        whole = [each for each in found if not isinstance(each, DTensor)]
        square = _sum_squares(shares, whole[0] if whole else shares[0])
        distributed.all_reduce(square)
        norm = (square + _sum_squares(whole, square)).sqrt()
        factor = (most / (norm + NORM_FLOOR)).clamp(max=1.0)
        for each in (*shares, *whole):
            each.mul_(factor)

    def ask_score(self, ask: Callable[[], float]) -> float:
        """Ask on all ranks, for each of them is needed where the network runs; the first one's number counts."""
        score = ask()
        return ranks.run_on_first(lambda: score)

    def agree(self, due: bool) -> bool:
        """As the first rank says: it cannot gather alone."""
        return bool(ranks.run_on_first(lambda: float(due)))

    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Gather one after another, in one order on all ranks: of what was read from a file no other is sure. They stay
        on the first rank, in the host's memory."""
        found = {}
        for name, each in sorted(tensors.items()):
            whole = each.detach().full_tensor() if isinstance(each, DTensor) else each
            if not ranks.rank():
                found[name] = whole.cpu() if isinstance(each, DTensor) else whole
        return found

    def share(self, tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Keep this rank's rows of those that are shares in `like`."""
        return {name: _keep_rows(each, like.get(name)) for name, each in tensors.items()}

    def join(self) -> None:
        """Gather all, and leave a plain network."""
        join_parameters(self._network, self._forms)


def _is_share(parameter: Tensor) -> bool:
    return isinstance(parameter, DTensor)


def _keep_rows(whole: Tensor, like: Tensor | None) -> Tensor:
    if not isinstance(like, DTensor) or whole.shape != like.shape:
        return whole
    rows = whole[sharding.find_own_rows(len(whole))]
    return sharding.join_rows(rows.to(like.to_local().device, copy=True), like)


def _sum_squares(tensors: list[Tensor], like: Tensor) -> Tensor:
    squares = [each.float().square().sum() for each in tensors]
    return torch.stack(squares).sum() if squares else like.new_zeros((), dtype=torch.float32)
