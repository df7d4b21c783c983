"""Where values are rounded in a written graph, around what only moves them: each engine has a place that costs it nothing."""

from __future__ import annotations

from torch import fx

from edgekd.learn.quant import operators
from edgekd.learn.quant import tracing
from edgekd.learn.quant.quantizer import ActivationQuantizer


def repeat_behind_movers(module: fx.GraphModule) -> None:
    """Round again behind whatever moves rounded values: nothing changes, and an engine that fuses by
    matching finds its Q/DQ next to the operator."""
    rounded: dict[fx.Node, str] = {}
    for node in list(module.graph.nodes):
        if _is_site(module, node):
            rounded[node] = str(node.target)
        elif operators.is_passing(node) and node.args[0] in rounded:
            target = rounded[node.args[0]]
            listed = any(user.target is operators.GETITEM for user in node.users)
            if listed or node.target in operators.VANISHING:
                rounded[node] = target  # of a list, each tensor is rounded as it is taken out
                continue
            with module.graph.inserting_after(node):
                again = module.graph.call_module(target, (node,))
            again.meta = tracing.place_of(node)
            for user in list(node.users):
                if user is not again:
                    user.replace_input_with(node, again)
            rounded[again] = target


def wait_for_order(module: fx.GraphModule) -> None:
    """Round what a product of activations gives only behind what brings it into another order: nothing changes, and such an
    engine does that within its attention, in the numbers of that; codes of 8 bits it moves one by one."""
    for site in list(module.graph.nodes):
        if not _is_site(module, site):
            continue
        last = site
        while len(last.users) == 1 and next(iter(last.users)).target in operators.REORDERING:
            last = next(iter(last.users))
        if last is site or getattr(site.args[0], "target", None) not in operators.MATMULS:
            continue
        with module.graph.inserting_after(last):
            again = module.graph.call_module(str(site.target), (last,))
        again.meta = dict(site.meta)
        for user in list(last.users):
            if user is not again:
                user.replace_input_with(last, again)
        site.replace_all_uses_with(site.args[0])
        module.graph.erase_node(site)


def _is_site(module: fx.GraphModule, node: fx.Node) -> bool:
    is_module = node.op == "call_module"
    return is_module and isinstance(module.get_submodule(str(node.target)), ActivationQuantizer)
