"""Learning rates by depth, and parts that stay as they are: what fine-tuning asks of a model's stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.learn.method.pairing import find_stages
from edgekd.learn.method.taps import find_points
from edgekd.learn.settings import Training


class LayerRates(NamedTuple):
    """How fast each parameter of a model learns."""

    factors: dict[str, float] = {}
    """Name of a parameter to what its learning rate is multiplied by; 1 where it is not named."""
    constant: tuple[str, ...] = ()
    """Names of the parameters that are not trained."""
    still: tuple[str, ...] = ()
    """Paths of the modules that stay in evaluation mode: their batch norms keep their statistics."""

    def freeze(self, model: nn.Module) -> list[nn.Module]:
        """Take the constant parameters of `model` out of training; its modules that stay in evaluation mode."""
        for name in self.constant:
            model.get_parameter(name).requires_grad_(False)
        return [model.get_submodule(path) for path in self.still]


class StageOrder(NamedTuple):
    """Which stage of a network each of its modules runs in."""

    stages: tuple[str, ...]
    """Paths of the modules that end the stages, shallow to deep."""
    spans: dict[str, tuple[int, int]]
    """Path of a module to the first and the last stage that it runs in, from 0; what runs after the last stage has
    the next number."""

    @property
    def head(self) -> int:
        """The number of what comes after the last stage."""
        return len(self.stages)

    def find_stage(self, parameter: str) -> int:
        """Find the stage in which a parameter is first used; what a pass does not run counts to the head."""
        path = parameter.rpartition(".")[0]
        while path and path not in self.spans:
            path = path.rpartition(".")[0]
        own = "." not in parameter  # of the model itself, such as the places of a transformer
        return self.spans[path][0] if path or own else self.head


def order_stages(model: nn.Module, *inputs: Tensor) -> StageOrder:
    """Order the modules of a model by the stage they run in, as a pass over `inputs` shows it.

    Stages are those of `edgekd.learn.method.pairing.find_stages`.

    Args:
        model: is left as it is.
        inputs: what it takes, each [B, ...].

    Raises:
        ValueError: as `find_stages`.
    """
    stages = find_stages(model, *inputs).stages
    points = find_points(model, *inputs)
    ends = [max(n for n, p in enumerate(points) if p.place == stage) for stage in stages]
    containers = {point.place.rpartition(".")[0]: None for point in points if "." in point.place}
    spans: dict[str, tuple[int, int]] = {}
    for number, point in enumerate(points):
        if any(place == point.place or place.startswith(f"{point.place}.") for place in containers):
            continue  # it ends after what it holds
        stage = sum(end < number for end in ends)
        path = point.place
        while True:
            first, last = spans.get(path, (stage, stage))
            spans[path] = min(first, stage), max(last, stage)
            if not path:
                break
            path = path.rpartition(".")[0]
    return StageOrder(stages, spans)


def plan_rates(model: nn.Module, training: Training, inputs: Sequence[Tensor]) -> LayerRates:
    """Plan the learning rate of every parameter and what stays as it is.

    The rate of a stage is that of the next one times ``training.layer_decay``; what comes after the last stage
    learns at the full rate.

    Args:
        model: is left as it is.
        training: what the recipe says.
        inputs: what the model takes, each [B, ...].

    Raises:
        InputError: if the model has no such module or fewer stages, or nothing is left to train.
    """
    decay, freeze = training.layer_decay, training.freeze
    if decay == 1.0 and not freeze:
        return LayerRates()
    by_stage = decay != 1.0 or isinstance(freeze, int)
    try:
        order = order_stages(model, *inputs) if by_stage else StageOrder((), {})
    except ValueError as error:
        hint = "name the modules to freeze by their paths, and leave layer_decay out"
        raise InputError(f"train: {error}", hint=hint) from error
    names = [name for name, _ in model.named_parameters()]
    if isinstance(freeze, int):
        still = _find_frozen_stages(order, freeze)
        constant = [name for name in names if order.find_stage(name) < freeze]
    else:
        still = _find_frozen_modules(model, freeze)
        constant = [name for name in names if name.rpartition(".")[0] in still]
    if len(constant) == len(names):
        raise InputError("train.freeze: got all parameters of the model, want some left to train")
    factors = {}
    if decay != 1.0:
        factors = {name: decay ** (order.head - order.find_stage(name)) for name in names}
    return LayerRates(factors, tuple(constant), tuple(still))


def _find_frozen_stages(order: StageOrder, count: int) -> list[str]:
    if count > order.head:
        ends = ", ".join(order.stages)
        raise InputError(
            f"train.freeze: got {count}, want at most {order.head}: the model's stages end at {ends}"
        )
    return [path for path, (_, last) in order.spans.items() if last < count]


def _find_frozen_modules(model: nn.Module, paths: Sequence[str]) -> list[str]:
    known = [name for name, _ in model.named_modules() if name]
    for path in paths:
        if path not in known:
            raise InputError(
                f"train.freeze: got {path!r}, want the path of a module",
                hint=find_nearest(path, known),
            )
    return [
        name for name in known if any(name == path or name.startswith(f"{path}.") for path in paths)
    ]
