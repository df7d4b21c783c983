"""A traced model in the form that is quantized: what changed is compared with the model it was made from.

Every rewrite keeps what is computed. That is held against the model's own answers before anything
else is done; a rewrite that breaks it is undone and named.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch import fx
from torch import nn

from edgekd.interface import Interface
from edgekd.learn.forward_pass import Outputs
from edgekd.learn.forward_pass import as_tuple
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.quant import canonical
from edgekd.learn.quant import folding
from edgekd.learn.quant import tracing

TOLERANCE = 1e-3
"""Largest difference of an answer, as part of how far answers lie apart from input to input."""
ROUNDING = 1e-5
"""And as part of the largest answer: what sums in another order give."""
COMPARED = 16
"""Images on which models are compared."""


class Rewrite(NamedTuple):
    """One change that keeps what is computed."""

    fits: Callable[[fx.GraphModule, fx.Node], bool]
    apply: Callable[[fx.GraphModule, fx.Node], None]


REWRITES: tuple[Rewrite, ...] = (
    Rewrite(canonical.has_computed_weights, canonical.store_weights),
    Rewrite(canonical.multiplies_parameter, canonical.as_linear),
    Rewrite(canonical.pads_by_name, canonical.pad_by_numbers),
    Rewrite(canonical.is_plain_attention, canonical.split_attention),
    Rewrite(canonical.averages_image, canonical.pool_whole_image),
    Rewrite(folding.can_fold, folding.fold),
)
"""In their order."""


def apply_rewrites(module: fx.GraphModule, undone: Collection[str] = ()) -> list[str]:
    """Apply all rewrites in place.

    Args:
        module: a traced model.
        undone: names of nodes (`tracing.name_of`) that stay as they are.

    Returns:
        The names of the nodes that were rewritten.
    """
    names = []
    for one in REWRITES:
        for node in list(module.graph.nodes):
            name = tracing.name_of(node)
            if name not in undone and one.fits(module, node):
                one.apply(module, node)
                names.append(name)
        tracing.erase_unused(module.graph)
    module.graph.lint()
    module.recompile()
    module.delete_all_unused_submodules()
    return names


def trace_and_rewrite(
    model: nn.Module, interface: Interface, compared: Sequence[Inputs]
) -> tuple[fx.GraphModule, tuple[str, ...]]:
    """Trace and rewrite `model`; give the names of the nodes whose rewrite was undone, too.

    Args:
        model: float, in evaluation mode; left as it is.
        interface: what it takes and gives.
        compared: batches on which the two are compared.

    Raises:
        ValueError: if its answers are not finite, it cannot be traced, or answers differently then.
    """
    want = compute_answers(model, compared)
    if not all(bool(each.isfinite().all()) for answers in want for each in answers):
        raise ValueError("got answers that are not finite, want numbers")
    traced = tracing.trace(model, interface)
    module = copy.deepcopy(traced)
    names = apply_rewrites(module)
    off = compare_answers(compute_answers(module, compared), want)
    if off <= 1:
        return module, ()
    if compare_answers(compute_answers(traced, compared), want) > 1:
        raise ValueError(f"traced, it answers differently: {off:.3g} times what is allowed")
    undone: list[str] = []
    for number, name in enumerate(names):
        module = copy.deepcopy(traced)
        apply_rewrites(module, {*undone, *names[number + 1 :]})
        if compare_answers(compute_answers(module, compared), want) > 1:
            undone.append(name)
    module = copy.deepcopy(traced)
    apply_rewrites(module, undone)
    return module, tuple(undone)


def compute_answers(model: nn.Module, batches: Iterable[Inputs]) -> list[Outputs]:
    """Compute what `model` gives in evaluation, without gradients, for each batch."""
    with torch.no_grad():
        return [as_tuple(model(*inputs)) for inputs in batches]


def compare_answers(got: Sequence[Outputs], want: Sequence[Outputs]) -> float:
    """The largest difference of any output, in units of what is allowed; 1 or less is the same, infinity if one is
    no number.

    Args:
        got: a batch's outputs each.
        want: the same of the model that is right.
    """
    pairs = [
        _compare(one, other)
        for batch, wanted in zip(got, want, strict=True)
        for one, other in zip(batch, wanted, strict=True)
    ]
    return max(pairs)


def _compare(got: Tensor, want: Tensor) -> float:
    """The same of one output [B, ...]."""
    got, want = got.double(), want.double()
    usual = want.mean(0) if len(want) > 1 else want.mean()
    spread = (want - usual).abs().max()
    allowed = TOLERANCE * spread + ROUNDING * want.abs().max() + torch.finfo(torch.float32).tiny
    off = float((got - want).abs().max() / allowed)
    return off if off == off else float("inf")
