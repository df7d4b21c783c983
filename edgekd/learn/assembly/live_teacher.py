"""A finished model that is asked while others learn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from edgekd.learn import arithmetic
from edgekd.learn import blueprint
from edgekd.learn.parallel import ranks


def load_teacher(
    blueprint_path: Path,
    weights_path: Path,
    *,
    allow_code: bool,
    sharded: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> nn.Module:
    """Load a model to ask it: on the training device, in evaluation mode, frozen.

    Args:
        blueprint_path: of the model.
        weights_path: safetensors.
        allow_code: whether ``python:`` references may run.
        sharded: whether several ranks share out its parameters; its answers are the same.
        note: is told what each rank holds.

    Raises:
        InputError, MachineError: as `blueprint.load` and `sharded_model.load_sharded` do.
    """
    if sharded and ranks.count() > 1:
        from edgekd.learn.sharded_model import load_sharded  # what it imports takes a second

        return load_sharded(blueprint_path, weights_path, allow_code=allow_code, note=note)
    model = blueprint.load(blueprint_path, weights_path, allow_code=allow_code)
    return model.requires_grad_(False).to(arithmetic.choose_device())
