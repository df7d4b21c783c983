"""Scale moved from a layer norm's outputs into the weights that read them (SmoothQuant: Xiao et al. 2023,
arXiv:2211.10438, eq. 4).

A few channels of a transformer's activations are much larger than the rest and take all codes of a
per-tensor range. Divided by a factor of their own, with the weights that read them multiplied by it,
the model computes the same and its activations are alike.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import fx

from edgekd.learn.quant import operators
from edgekd.learn.quant import tracing
from edgekd.learn.quant.calibration import Batches


def equalize(module: fx.GraphModule, batches: Batches, strength: float = 0.5) -> int:
    """Even out the channels behind every layer norm that only linear layers read, in place.

    s_j = max|x_j|^a / max|w_j|^(1 - a), with a the `strength`.

    Args:
        module: a traced model without quantizers.
        batches: what it is run on, for the largest activation of each channel.
        strength: 0 moves all of the difference to the activations, 1 all of it to the weights.

    Returns:
        How many layer norms were changed.
    """
    norms = {
        node: list(node.users)
        for node in module.graph.nodes
        if node.target is operators.LAYER_NORM and _readable(module, node)
    }
    largest = _largest(module, list(norms), batches)
    for norm, readers in norms.items():
        weights = [tracing.parameter(module, reader.args[1]) for reader in readers]
        matrices = [weight for weight in weights if weight is not None]
        wide = torch.stack([matrix.detach().abs().amax(0) for matrix in matrices]).amax(0)
        factor = largest[norm].pow(strength) / wide.clamp_min(1e-5).pow(1 - strength)
        factor = factor.clamp_min(1e-5)
        with torch.no_grad():
            for position in (2, 3):
                held = tracing.parameter(module, norm.args[position])
                assert held is not None  # as _readable found
                held.div_(factor)
            for matrix in matrices:
                matrix.mul_(factor)
    return len(norms)


def _readable(module: fx.GraphModule, norm: fx.Node) -> bool:
    """Whether a norm has a gain and a shift of its own, and only linear layers of their own read it."""
    own = [norm.args[i] if len(norm.args) > i else None for i in (2, 3)]
    for node in own:
        if tracing.parameter(module, node) is None or not isinstance(node, fx.Node):
            return False
        if len(node.users) != 1:
            return False
    readers = list(norm.users)
    return bool(readers) and all(
        reader.target is operators.LINEAR
        and tracing.parameter(module, reader.args[1]) is not None
        and isinstance(reader.args[1], fx.Node)
        and len(reader.args[1].users) == 1
        for reader in readers
    )


def _largest(
    module: fx.GraphModule, norms: list[fx.Node], batches: Batches
) -> dict[fx.Node, Tensor]:
    """The largest magnitude of each channel of each norm's output."""
    found: dict[fx.Node, Tensor] = {}

    class Watch(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            output = super().run_node(n)
            if n in norms:
                seen = output.detach().abs().flatten(0, -2).amax(0)
                found[n] = torch.maximum(found[n], seen) if n in found else seen
            return output

    with torch.no_grad():
        for images in batches():
            Watch(module).run(images)
    return found
