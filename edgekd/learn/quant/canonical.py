"""One form for what can be written in several: the mean over both sides of an image is a pool."""

from __future__ import annotations

from torch import fx

from edgekd.learn.quant import operators
from edgekd.learn.quant import tracing

SIDES = ([2, 3], [-2, -1])


def pool_whole_images(module: fx.GraphModule) -> None:
    """Write ``x.mean((2, 3))`` of [B, C, H, W] as a pool, in place: engines have an int8 kernel for it."""
    for node in list(module.graph.nodes):
        if node.target is not operators.MEAN or not _over_an_image(node):
            continue
        keeps = len(node.args) > 2 and bool(node.args[2]) or bool(node.kwargs.get("keepdim"))
        with module.graph.inserting_before(node):
            pooled = module.graph.call_function(operators.POOL, (node.args[0], [1, 1]))
            pooled.meta = {tracing.MODULE_PATH: tracing.path_of(node), tracing.RANK: 4}
            made = pooled
            if not keeps:
                made = module.graph.call_function(operators.FLATTEN, (pooled, 1))
                made.meta = {tracing.MODULE_PATH: tracing.path_of(node), tracing.RANK: 2}
        node.replace_all_uses_with(made)
        module.graph.erase_node(node)
    module.recompile()


def _over_an_image(node: fx.Node) -> bool:
    source, axes = node.args[0], node.args[1]
    if not isinstance(source, fx.Node) or not isinstance(axes, (list, tuple)):
        return False
    return tracing.rank_of(source) == 4 and sorted(axes) in SIDES
