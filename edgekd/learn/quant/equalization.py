"""Scale moved from a layer norm's outputs into the weights that read them (SmoothQuant: Xiao et al. 2023,
arXiv:2211.10438, eq. 4).

A few channels of a transformer's activations are much larger than the rest and take all codes of a
per-tensor range. Divided by a factor of their own, with the weights that read them multiplied by it,
the model computes the same and its activations are alike.
"""

from __future__ import annotations

from typing import Any
from typing import NamedTuple

import torch
from torch import Tensor
from torch import fx

from edgekd.learn.quant import operators
from edgekd.learn.quant import tracing
from edgekd.learn.quant.calibration import Batches


class Change(NamedTuple):
    """Factors that even out the channels behind one layer norm."""

    name: str
    """Of the norm, `tracing.name_of`."""
    factor: Tensor
    """[channels]; activations are divided by it, weights multiplied."""
    divided: tuple[Tensor, ...]
    """Gain and shift of the norm."""
    multiplied: tuple[Tensor, ...]
    """Weights [O, channels] of the layers that read it."""

    def apply(self) -> None:
        """Change the parameters in place."""
        with torch.no_grad():
            for held in self.divided:
                held.div_(self.factor)
            for held in self.multiplied:
                held.mul_(self.factor)

    def undo(self) -> None:
        """Put them back, up to rounding."""
        self._replace(factor=1 / self.factor).apply()


def find_changes(module: fx.GraphModule, batches: Batches, strength: float = 0.5) -> list[Change]:
    """Find what would even out the channels behind every layer norm that only linear layers read.

    s_j = max|x_j|^a / max|w_j|^(1 - a), with a the `strength`.

    Args:
        module: a traced model without quantizers.
        batches: what it is run on, for the largest activation of each channel.
        strength: 0 leaves activations as wide as weights make them, 1 moves all of the difference
            between channels of activations to the weights.
    """
    norms = [
        node
        for node in module.graph.nodes
        if node.target is operators.LAYER_NORM and _readable(module, node)
    ]
    largest = _largest(module, norms, batches) if norms else {}
    return [_change(module, norm, largest[norm], strength) for norm in norms]


def _change(module: fx.GraphModule, norm: fx.Node, largest: Tensor, strength: float) -> Change:
    own = [tracing.get_parameter(module, norm.args[position]) for position in (2, 3)]
    weights = [tracing.get_parameter(module, reader.args[1]) for reader in norm.users]
    matrices = [weight for weight in weights if weight is not None]
    wide = torch.stack([matrix.detach().abs().amax(0) for matrix in matrices]).amax(0)
    factor = largest.pow(strength) / wide.clamp_min(1e-5).pow(1 - strength)
    return Change(
        tracing.name_of(norm),
        factor.clamp_min(1e-5),
        tuple(held for held in own if held is not None),
        tuple(matrices),
    )


def _readable(module: fx.GraphModule, norm: fx.Node) -> bool:
    """Return whether a norm has a gain and a shift of its own, and only linear layers of their own read it."""
    own = len(norm.args) > 3 and all(_is_own(module, held) for held in norm.args[2:4])
    return own and all(
        reader.target is operators.LINEAR and _is_own(module, reader.args[1])
        for reader in norm.users
    )


def _is_own(module: fx.GraphModule, node: object) -> bool:
    """Return whether `node` reads a parameter, for one reader alone."""
    held = tracing.get_parameter(module, node)
    return held is not None and isinstance(node, fx.Node) and len(node.users) == 1


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
        for inputs in batches():
            Watch(module).run(*inputs)
    return found
