"""The optimizers of torch by name, with their knobs: a plain table, so that a recipe is checked without torch."""

from __future__ import annotations

import math
import re
from collections.abc import Set
from typing import Any
from typing import NamedTuple

from edgekd.errors import find_nearest
from edgekd.settings import Settings

Knob = bool | float | tuple[float, float]
BY_SETTINGS = ("sgd", "adamw")
"""Those whose knobs are keys of the training itself, where no knobs stand beside their name."""
BELOW_ONE = {"betas", "momentum", "rho"}
"""Knobs that are shares of what was before; all others are at least 0."""
MAY_BE_NEGATIVE = {"beta2_decay"}
REFUSED: dict[str, str] = {
    "lbfgs": "it asks for the loss several times a step; write adamw",
    "muon": "it moves matrices alone; write adamw",
    "sparseadam": "it wants sparse gradients; write adam",
}
"""Optimizers of torch that this training loop has no use for."""


class Optimizer(NamedTuple):
    """One optimizer of torch."""

    torch_name: str
    """Of its class in ``torch.optim``."""
    learning_rate: float
    """The rate that torch takes where none is said."""
    knobs: dict[str, Knob]
    """What a recipe may say beside its name, with torch's defaults."""
    decays: bool = True
    """Whether it takes a weight decay."""


_BETAS = (0.9, 0.999)
OPTIMIZERS: dict[str, Optimizer] = {
    "adadelta": Optimizer("Adadelta", 1.0, {"rho": 0.9, "eps": 1e-6}),
    "adafactor": Optimizer("Adafactor", 1e-2, {"beta2_decay": -0.8, "d": 1.0}),
    "adagrad": Optimizer(
        "Adagrad", 1e-2, {"lr_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10}
    ),
    "adam": Optimizer(
        "Adam",
        1e-3,
        {"betas": _BETAS, "eps": 1e-8, "amsgrad": False, "decoupled_weight_decay": False},
    ),
    "adamax": Optimizer("Adamax", 2e-3, {"betas": _BETAS, "eps": 1e-8}),
    "adamw": Optimizer("AdamW", 1e-3, {"betas": _BETAS, "eps": 1e-8, "amsgrad": False}),
    "asgd": Optimizer("ASGD", 1e-2, {"lambd": 1e-4, "alpha": 0.75, "t0": 1e6}),
    "nadam": Optimizer(
        "NAdam",
        2e-3,
        {"betas": _BETAS, "eps": 1e-8, "momentum_decay": 4e-3, "decoupled_weight_decay": False},
    ),
    "radam": Optimizer(
        "RAdam", 1e-3, {"betas": _BETAS, "eps": 1e-8, "decoupled_weight_decay": False}
    ),
    "rmsprop": Optimizer(
        "RMSprop", 1e-2, {"alpha": 0.99, "eps": 1e-8, "momentum": 0.0, "centered": False}
    ),
    "rprop": Optimizer("Rprop", 1e-2, {"etas": (0.5, 1.2), "step_sizes": (1e-6, 50.0)}, False),
    "sgd": Optimizer("SGD", 1e-3, {"momentum": 0.0, "dampening": 0.0, "nesterov": False}),
}
"""By the name that a recipe uses; capitals do not matter."""


class OptimizerSettings(Settings):
    """An optimizer of torch with all of its knobs; learning rate and weight decay are the training's."""

    name: str
    """Of `OPTIMIZERS`."""
    knobs: dict[str, Knob] = {}
    """All of them, torch's defaults where the recipe says none."""


def parse_optimizer(value: Any) -> Any:
    """What a recipe says of an optimizer: ``sgd`` or ``adamw`` as it is, else its `OptimizerSettings`.

    Raises:
        ValueError: for an unknown name or knob, or a value that no such knob has.
    """
    if isinstance(value, OptimizerSettings):
        return value
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise ValueError("got no name, want an optimizer's, or a mapping with `name` and its knobs")
    name = re.sub(r"[-_ ]", "", value["name"]).lower()
    if name not in OPTIMIZERS:
        known = REFUSED.get(name) or find_nearest(name, OPTIMIZERS)
        raise ValueError(f"got unknown optimizer {value['name']!r}; {known}")
    said = {key: item for key, item in value.items() if key != "name"}
    if set(said) == {"knobs"} and isinstance(said["knobs"], dict):
        said = said["knobs"]
    if not said and name in BY_SETTINGS:
        return name
    known_knobs = OPTIMIZERS[name].knobs
    for key in said:
        if key in ("lr", "learning_rate", "weight_decay"):
            raise ValueError(
                f"got {key!r} beside its name, want it in train: learning_rate, weight_decay"
            )
        if key not in known_knobs:
            raise ValueError(f"got unknown key {key!r}; {find_nearest(key, known_knobs)}")
    knobs = {
        key: _knob(key, said[key], usual) if key in said else usual
        for key, usual in known_knobs.items()
    }
    return OptimizerSettings(name=name, knobs=knobs)


def _knob(key: str, value: Any, usual: Knob) -> Knob:
    """
    Raises:
        ValueError: if a knob, which is usually `usual`, cannot be `value`.
    """
    if isinstance(usual, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{key}: got {value!r}, want true or false")
        return value
    if isinstance(usual, tuple):
        if not isinstance(value, list | tuple) or len(value) != len(usual):
            raise ValueError(f"{key}: got {value!r}, want a list of {len(usual)} numbers")
        first, second = (_number(key, each) for each in value)
        return first, second
    return _number(key, value)


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{key}: got {value!r}, want a number")
    if value < 0 and key not in MAY_BE_NEGATIVE:
        raise ValueError(f"{key}: got {value!r}, want a number >= 0")
    if value >= 1 and key in BELOW_ONE:
        raise ValueError(f"{key}: got {value!r}, want a number < 1")
    return float(value)


def add_own_rate(value: Any, usual: Any) -> Any:
    """The settings of a training, `value`, with the learning rate that torch takes for its optimizer where they say
    none: for those that are no settings of the training, and where `usual` is ``sgd``, whose rate is much larger."""
    if not isinstance(value, dict) or "learning_rate" in value or "optimizer" not in value:
        return value
    choice = parse_optimizer(value["optimizer"])
    if usual != "sgd" or not isinstance(choice, OptimizerSettings):
        return value
    return {**value, "learning_rate": OPTIMIZERS[choice.name].learning_rate}


def require_own_settings(choice: Any, changed: Set[str]) -> None:
    """Refuse a setting of the training that an optimizer has no use for.

    Args:
        choice: the optimizer.
        changed: names of the training's settings that are not as usual.

    Raises:
        ValueError: naming it, and where its knob stands.
    """
    if not isinstance(choice, OptimizerSettings):
        return
    known = OPTIMIZERS[choice.name]
    for setting in sorted(changed & {"momentum", "nesterov"}):
        where = f"{{name: {choice.name}, {setting}: ...}}"
        want = f"want it beside the name: {where}" if setting in known.knobs else "it has none"
        raise ValueError(f"got {setting} with the optimizer {choice.name}; {want}")
    if "weight_decay" in changed and not known.decays:
        raise ValueError(f"got weight_decay with the optimizer {choice.name}, which has none")
