"""A finished model that answers on several ranks, each of which holds a share of its parameters."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

import torch
from torch import Tensor
from torch import nn
from torch.distributed.tensor import DTensor

from edgekd import units
from edgekd.errors import InputError
from edgekd.learn import arithmetic
from edgekd.learn import blueprint
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.empty_parameters import build_empty
from edgekd.learn.formats.tensor_file import TensorFile
from edgekd.learn.formats.tensor_file import open_tensors
from edgekd.learn.parallel import ranks
from edgekd.learn.parallel import sharding
from edgekd.units import number_text


def load_sharded(
    blueprint_path: Path, weights_path: Path, *, allow_code: bool, note: Callable[[str], None]
) -> nn.Module:
    """Load a model to ask it: on the training device, in evaluation mode, frozen, its parameters shared out.

    Each rank reads its own rows of the weights. Where a builder cannot do without values, each has the whole model in
    the host's memory before it keeps its share.

    Args:
        blueprint_path: of the model.
        weights_path: safetensors.
        allow_code: whether ``python:`` references may run.
        note: is told what each rank holds.

    Raises:
        InputError: as `blueprint.load`; if the network cannot run so.
        MachineError: as `blueprint.load`.
    """
    plan, device = blueprint.read(blueprint_path), arithmetic.choose_device()
    with torch.random.fork_rng(devices=[]):
        network = _build_empty(plan, allow_code)
    if network is None:
        note(f"{plan.builder}: each rank builds it whole before it keeps its share")
        network = blueprint.load(blueprint_path, weights_path, allow_code=allow_code)
        parts = sharding.shard_network(network.requires_grad_(False), device)
        network.to(device)
    else:
        parts = sharding.shard_network(network.eval().requires_grad_(False), device)
        _fill(network, weights_path, device)
    _try_out(network, plan, device)
    held = units.bytes_text(sharding.count_held_bytes(network))
    note(
        f"{plan.builder}: {ranks.count()} ranks share out its parameters, gathered in {number_text(parts, 'part')}: "
        f"{held} on each"
    )
    return network


def _build_empty(plan: Blueprint, allow_code: bool) -> nn.Module | None:
    """The network without values; None if it cannot be built so."""
    try:
        with build_empty():
            network = blueprint.build(plan, allow_code=allow_code, is_checked=True)
    except Exception:  # a builder may do anything with values; what is wrong with it is told when it is built whole
        return None
    return None if any(buffer.is_meta for buffer in network.buffers()) else network


def _fill(network: nn.Module, path: Path, device: torch.device) -> None:
    """Give every parameter of a network without values the rows that are this rank's, and buffers theirs.

    Raises:
        InputError: if the file is none of that network.
    """
    aliases = _list_aliases(network)
    buffers = dict(network.named_buffers())
    kept = {name: buffer.clone() for name, buffer in buffers.items()}
    network.to_empty(device=device)
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            buffer.copy_(kept[name])
        with open_tensors(path) as tensors:
            _require_fit(network, tensors, aliases, path)
            for name, value in network.state_dict(keep_vars=True).items():
                source = next((n for n in aliases.get(name, [name]) if n in tensors.names), None)
                if source is None:
                    continue
                own = value.to_local() if isinstance(value, DTensor) else value
                rows = sharding.find_own_rows(len(value)) if isinstance(value, DTensor) else None
                own.copy_(tensors.read(source, rows))


def _list_aliases(network: nn.Module) -> Mapping[str, list[str]]:
    """For each parameter's name all names of that parameter: of tied ones a file holds one."""
    names: dict[nn.Parameter, list[str]] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    return {name: [name, *each] for each in names.values() for name in each}


def _require_fit(
    network: nn.Module, tensors: TensorFile, aliases: Mapping[str, list[str]], path: Path
) -> None:
    own: Mapping[str, Tensor] = network.state_dict()
    tied = {name for names in aliases.values() for name in names if len(set(names)) > 1}
    missing = _list_missing(own.keys(), tensors.names, aliases)
    extra = tensors.names - own.keys()
    wrong = [n for n in tensors.names & own.keys() - tied if tensors.shape(n) != own[n].shape]
    if missing or extra or wrong:
        first = sorted((*missing, *extra, *wrong))[0]
        raise InputError(f"{path}: the weights do not fit the model: {first[:100]}")


def _list_missing(
    own: AbstractSet[str], given: AbstractSet[str], aliases: Mapping[str, list[str]]
) -> list[str]:
    counted = (name for name in own if not name.endswith("num_batches_tracked"))
    return [n for n in counted if not given & {n, *aliases.get(n, ())}]


def _try_out(network: nn.Module, plan: Blueprint, device: torch.device) -> None:
    """Run it once: a network may use parameters of a part without running that part.

    Raises:
        InputError: then.
    """
    try:
        with torch.no_grad():
            network(*(each.to(device) for each in plan.blank(2)))
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{plan.builder}: its parameters cannot be shared out over ranks: {first[:200]}",
            hint="leave sharded out, then every rank holds it whole",
        ) from error
