"""Edit `group-norm`: group norms stand where batch norms stood, so that samples do not mix."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgekd.interface import Interface
from edgekd.settings import Count
from edgekd.settings import Settings


class GroupNormEdit(Settings):
    """The fields of this edit in a blueprint."""

    groups: Count = 8
    """Of channels; where they do not divide a layer's channels, as many as divide both."""


def apply(model: nn.Module, edit: Mapping[str, Any], interface: Interface) -> nn.Module:
    """Each batch norm becomes a group norm (Wu and He 2018, arXiv:1803.08494) of its scale and shift.

    Args:
        model: changed in place.
        edit: ``{"groups"}``.
        interface: what the model takes; not looked at.

    Raises:
        ValueError: if it is a batch norm itself.
    """
    groups = GroupNormEdit.model_validate(dict(edit)).groups
    found = [(name, norm) for name, norm in model.named_modules() if isinstance(norm, _BatchNorm)]
    for name, norm in found:
        if not name:
            raise ValueError("got a batch norm alone, want a model that holds some")
        parent, _, own = name.rpartition(".")
        channels = norm.num_features
        fresh = nn.GroupNorm(math.gcd(groups, channels), channels, eps=norm.eps, affine=norm.affine)
        if norm.affine:
            fresh.weight, fresh.bias = norm.weight, norm.bias
        setattr(model.get_submodule(parent), own, fresh.train(norm.training))
    return model
