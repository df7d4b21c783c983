"""What is known of an operator from its arguments, however they are written."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import fx

from edgekd.learn.quant import operators

aten = torch.ops.aten


def node(target: Any, *args: Any, **kwargs: Any) -> fx.Node:
    graph = fx.Graph()
    return graph.call_function(target, (graph.placeholder("x"), *args), kwargs)


@pytest.mark.parametrize("target", [aten.pad.default, aten.constant_pad_nd.default])
@pytest.mark.parametrize(("value", "passes"), [(0, True), (0.0, True), (1.0, False), (-2, False)])
def test_a_pad_passes_values_on_if_it_puts_zeros_beside_them(
    target: Any, value: float, passes: bool
) -> None:
    mode = ("constant",) if target is aten.pad.default else ()
    assert operators.is_passing(node(target, [1, 1], *mode, value)) == passes
    assert operators.is_passing(node(target, [1, 1], value=value)) == passes
    assert operators.is_passing(node(target, pad=[1, 1], value=value)) == passes
    assert operators.is_passing(node(target, [1, 1]))


@pytest.mark.parametrize(("lower", "fused"), [(0, True), (-1.0, False)])
def test_a_cut_is_free_if_it_begins_at_zero(lower: float, fused: bool) -> None:
    assert operators.is_fused(node(aten.hardtanh.default, lower, 6.0)) == fused
    assert operators.is_fused(node(aten.hardtanh.default, min_val=lower)) == fused
    assert operators.is_fused(node(aten.clamp.default, lower)) == fused
    assert operators.is_fused(node(aten.clamp.default, min=lower)) == fused
    assert not operators.is_fused(node(aten.hardtanh.default))
