"""Block quantizers put on the weights of a model, and found there again.

They stand there as parametrizations (`torch.nn.utils.parametrize`): whoever reads a layer's ``weight``, its own
``forward`` or another module's, gets the rounded one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch import nn
from torch.nn.utils import parametrize

from edgekd.learn.forward_pass import switch_off
from edgekd.learn.weight_only.formats import BlockFormat
from edgekd.learn.weight_only.quantizer import BlockQuantizer


class BlockLayer(NamedTuple):
    """A layer whose weights are in blocks."""

    module: nn.Linear | nn.Embedding
    quantizer: BlockQuantizer
    weight: nn.Parameter
    """Before it is rounded."""


def insert_quantizers(model: nn.Module, formats: Mapping[str, BlockFormat]) -> None:
    """Put a quantizer on the weights of each layer, in place; all scales 1.

    Raises:
        ValueError: if a name is no linear layer or table of the model, or its blocks do not fit.
    """
    for name, form in formats.items():
        layer = dict(model.named_modules()).get(name)
        if type(layer) not in (nn.Linear, nn.Embedding):
            raise ValueError(f"{name}: got {type(layer).__name__}, want a linear layer or a table")
        assert isinstance(layer, nn.Linear | nn.Embedding)
        rows, width = layer.weight.shape
        if width % form.group:
            raise ValueError(
                f"{name}: got blocks of {form.group} for {width} inputs, want a divisor"
            )
        quantizer = BlockQuantizer((rows, width), form).to(layer.weight.device)
        shared = layer.weight
        parametrize.register_parametrization(layer, "weight", quantizer, unsafe=True)
        held = layer.parametrizations.weight
        held.original = shared  # what is tied stays tied


def find_layers(model: nn.Module) -> dict[str, BlockLayer]:
    """The layers whose weights are in blocks, by module path."""
    found = {}
    for name, module in model.named_modules():
        if not isinstance(module, nn.Linear | nn.Embedding) or not parametrize.is_parametrized(
            module
        ):
            continue
        chain = module.parametrizations["weight"]
        if isinstance(chain[0], BlockQuantizer):
            found[name] = BlockLayer(module, chain[0], chain.original)
    return found


def has_quantizers(model: nn.Module) -> bool:
    """Return whether the weights of some layer are in blocks."""
    return bool(find_layers(model))


def bake_weights(model: nn.Module) -> nn.Module:
    """Copy `model` to one of plain layers with the rounded weights: it answers the same, and as fast as a float one."""
    copied = copy.deepcopy(model)
    for name, layer in find_layers(copied).items():
        with torch.no_grad():
            rounded = nn.Parameter(layer.module.weight.detach().clone(), requires_grad=False)
        replace_module(copied, name, _make_plain(layer.module, rounded))
    return copied


def _make_plain(layer: nn.Linear | nn.Embedding, weight: nn.Parameter) -> nn.Module:
    """A layer of the same kind; what `layer` itself is made of is shared by all its copies."""
    if isinstance(layer, nn.Embedding):
        table = nn.Embedding(*weight.shape, padding_idx=layer.padding_idx, device="meta")
        table.weight = weight
        return table.eval()
    plain = nn.Linear(layer.in_features, layer.out_features, bias=False, device="meta")
    plain.weight, plain.bias = weight, layer.bias
    return plain.eval()


def replace_module(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put `module` at a dotted name."""
    holder, _, last = name.rpartition(".")
    setattr(model.get_submodule(holder), last, module)


@contextmanager
def disable_quantizers(model: nn.Module) -> Iterator[None]:
    """Let all weights through as they are, and round again afterwards."""
    with switch_off([layer.quantizer for layer in find_layers(model).values()]):
        yield


def set_latent(layer: BlockLayer, weight: Tensor) -> None:
    """Give a layer other weights [N, K] before they are rounded."""
    with torch.no_grad():
        layer.weight.copy_(weight)
