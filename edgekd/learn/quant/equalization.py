"""Scale moved from activations into the weights that read them (SmoothQuant: Xiao et al. 2023,
arXiv:2211.10438, eq. 4).

A few channels of a transformer's activations are much larger than the rest and take all codes of a
per-tensor range. Divided by a factor of their own, with the weights that read them multiplied by it,
the model computes the same and its activations are alike. The division goes into what gives the channels: a layer
norm's gain and shift, or, through an attention's probabilities, the layer of its values. What others read too, or what is
not linear in its parameters (a GELU), is divided by an operator of its own (`insert_scales`).
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import torch
from torch import Tensor
from torch import fx

from edgekd.learn.quant import blocks
from edgekd.learn.quant import operators
from edgekd.learn.quant import tracing
from edgekd.learn.quant.calibration import Batches

NORMS, VALUES, GELUS = "norms", "values", "gelus"
"""Kinds of what gives the channels; each has a strength of its own."""
SCALE = "smoothing"
"""Name of the parameter of an operator that only divides."""
LEAST_FACTOR = 1e-5


class EvenedPlace(NamedTuple):
    """Channels that only linear layers read."""

    name: str
    """Of what gives them, `tracing.name_of`."""
    kind: str
    source: fx.Node
    divided: tuple[Tensor, ...]
    """What takes the division: [channels], or [channels, ...]."""
    readers: tuple[fx.Node, ...]
    multiplied: tuple[Tensor, ...]
    """Weights [O, channels] of the layers that read them."""


class Extremes(NamedTuple):
    """The least and the largest value of each channel [channels]."""

    least: Tensor
    most: Tensor

    def largest(self) -> Tensor:
        """The largest magnitude of each."""
        return torch.maximum(-self.least, self.most)


class Change(NamedTuple):
    """Factors that even out the channels of one place."""

    name: str
    """Of what gives them, `tracing.name_of`."""
    factor: Tensor
    """[channels]; activations are divided by it, weights multiplied."""
    divided: tuple[Tensor, ...]
    """What takes the division."""
    multiplied: tuple[Tensor, ...]
    """Weights [O, channels] of the layers that read them."""

    def apply(self) -> None:
        """Change the parameters in place."""
        with torch.no_grad():
            for held in self.divided:
                held.div_(self.factor.reshape(-1, *[1] * (held.ndim - 1)))
            for held in self.multiplied:
                held.mul_(self.factor)

    def undo(self) -> None:
        """Put them back, up to rounding."""
        self._replace(factor=1 / self.factor).apply()


def find_changes(
    module: fx.GraphModule, batches: Batches, strength: float | Mapping[str, float] = 0.5
) -> list[Change]:
    """Find what would even out the channels of every place.

    s_j = max|x_j|^a / max|w_j|^(1 - a), with a the `strength`.

    Args:
        module: a traced model without quantizers.
        batches: what it is run on, for the largest activation of each channel.
        strength: 0 leaves activations as wide as weights make them, 1 moves all of the difference
            between channels of activations to the weights; by kind, those that are not named are left alone.
    """
    places = find_places(module)
    if isinstance(strength, Mapping):
        places = [place for place in places if place.kind in strength]
    seen = observe_channels(module, places, batches) if places else {}
    return [
        make_change(
            place,
            seen[place.source],
            strength if isinstance(strength, int | float) else strength[place.kind],
        )
        for place in places
    ]


def make_change(place: EvenedPlace, seen: Extremes, strength: float) -> Change:
    """Factors of one place, from the extremes seen there."""
    wide = torch.stack([matrix.detach().abs().amax(0) for matrix in place.multiplied]).amax(0)
    factor = seen.largest().pow(strength) / wide.clamp_min(LEAST_FACTOR).pow(1 - strength)
    return Change(place.name, factor.clamp_min(LEAST_FACTOR), place.divided, place.multiplied)


def find_places(module: fx.GraphModule) -> list[EvenedPlace]:
    """Find all channels that can be divided in parameters, in the order they run."""
    attention = blocks.find_attention_products(module.graph)
    found = []
    for node in module.graph.nodes:
        readers = tuple(node.users)
        weights = [
            tracing.get_parameter(module, reader.args[1])
            for reader in readers
            if _is_linear(module, reader)
        ]
        if not readers or len(weights) != len(readers):
            continue
        matrices = tuple(weight for weight in weights if weight is not None)
        kind, divided = _divided(module, node, attention)
        if divided and all(len(held) == matrices[0].shape[1] for held in divided):
            found.append(EvenedPlace(tracing.name_of(node), kind, node, divided, readers, matrices))
    return found


def find_scalable(module: fx.GraphModule) -> dict[str, str]:
    """Find what gives channels to linear layers and could be divided by an operator of its own alone: name to kind."""
    taken = {place.source for place in find_places(module)}
    return {
        tracing.name_of(node): NORMS if node.target is operators.LAYER_NORM else GELUS
        for node in module.graph.nodes
        if node.target in (operators.LAYER_NORM, operators.GELU)
        and node not in taken
        and any(_is_linear(module, reader) for reader in _as_read(node).users)
    }


def insert_scales(module: fx.GraphModule, names: Collection[str]) -> None:
    """Put an operator that multiplies by ones, a parameter that does not learn, between each of `find_scalable` that is
    named and the linear layers that read it, in place."""
    for node in list(module.graph.nodes):
        if node.op != "call_function" or tracing.name_of(node) not in names:
            continue
        given = _as_read(node)
        readers = [reader for reader in given.users if _is_linear(module, reader)]
        if not readers:
            continue
        weight = tracing.get_parameter(module, readers[0].args[1])
        assert weight is not None
        target = tracing.free_name(module, tracing.path_of(node), SCALE)
        tracing.set_parameter(module, target, torch.ones(weight.shape[1]))
        module.get_parameter(target).requires_grad_(False)
        read = tracing.read_parameter(module, readers[0], target)
        with module.graph.inserting_after(read):
            made = module.graph.call_function(operators.MULTIPLY, (given, read))
        made.meta = {**tracing.place_of(node), tracing.NAME: f"{tracing.name_of(node)}.{SCALE}"}
        for reader in readers:
            reader.args = (made, *reader.args[1:])
    module.graph.lint()
    module.recompile()


def _divided(
    module: fx.GraphModule, node: fx.Node, attention: set[fx.Node]
) -> tuple[str, tuple[Tensor, ...]]:
    """The kind of what gives channels, and the parameters that can take a division of them; none if there are none."""
    if node.target is operators.LAYER_NORM:
        own = len(node.args) > 3 and all(_is_own(module, held) for held in node.args[2:4])
        return NORMS, _parameters(module, node.args[2:4]) if own else ()
    if node.target is operators.MULTIPLY:
        held = node.args[1]
        if isinstance(held, fx.Node) and SCALE in str(held.target).rpartition(".")[2]:
            given = node.args[0]
            while isinstance(given, fx.Node) and given.target in operators.VANISHING:
                given = given.args[0]
            normed = isinstance(given, fx.Node) and given.target is operators.LAYER_NORM
            return NORMS if normed else GELUS, _parameters(module, [held])
        return "", ()
    value = _value_layer(module, node, attention)
    return VALUES, _parameters(module, value.args[1:3]) if value else ()


def _value_layer(module: fx.GraphModule, node: fx.Node, attention: set[fx.Node]) -> fx.Node | None:
    """The linear layer of an attention's values, if `node` is what the attention gives and nobody else reads either."""
    at: Any = node
    for wanted in (attention, None):
        while isinstance(at, fx.Node) and operators.is_passing(at) and len(at.users) == 1:
            at = at.args[0]
        if not isinstance(at, fx.Node) or len(at.users) != 1:
            return None
        if wanted is None:
            return at if _is_linear(module, at) and _owns_bias(module, at) else None
        if at not in wanted:
            return None
        at = at.args[1]
    return None


def _as_read(node: fx.Node) -> fx.Node:
    """`node`, or what only copies it for all who read it, as a dropout that is off."""
    while len(node.users) == 1 and next(iter(node.users)).target in operators.VANISHING:
        (node,) = node.users
    return node


def _is_linear(module: fx.GraphModule, node: fx.Node) -> bool:
    return node.target is operators.LINEAR and _is_own(module, node.args[1])


def _owns_bias(module: fx.GraphModule, layer: fx.Node) -> bool:
    return len(layer.args) < 3 or layer.args[2] is None or _is_own(module, layer.args[2])


def _is_own(module: fx.GraphModule, node: object) -> bool:
    """Return whether `node` reads a parameter, for one reader alone."""
    held = tracing.get_parameter(module, node)
    return held is not None and isinstance(node, fx.Node) and len(node.users) == 1


def _parameters(module: fx.GraphModule, nodes: Collection[Any]) -> tuple[Tensor, ...]:
    found = [tracing.get_parameter(module, node) for node in nodes]
    return tuple(held for held in found if held is not None)


def observe_channels(
    module: fx.GraphModule, places: Collection[EvenedPlace], batches: Batches
) -> dict[fx.Node, Extremes]:
    """The extremes of each channel of each place, by what gives it."""
    watched = {place.source for place in places}
    found: dict[fx.Node, Extremes] = {}

    class Watch(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            output = super().run_node(n)
            if n in watched:
                least, most = output.detach().flatten(0, -2).aminmax(dim=0)
                before = found.get(n, Extremes(least, most))
                found[n] = Extremes(
                    torch.minimum(before.least, least), torch.maximum(before.most, most)
                )
            return output

    with torch.no_grad():
        for inputs in batches():
            Watch(module).run(*inputs)
    return found
