"""Which kinds of block run in int8: the same table for every model.

Rounding the scores of an attention, its probabilities or what a norm gives costs a transformer its answers and an
engine no time; the table of its embeddings is half the bytes of a small encoder (measured: benchmarks/encoder_int8).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal
from typing import NamedTuple

from torch import fx

from edgekd.learn.quant import operators
from edgekd.learn.quant import tracing

Form = Literal["int8", "float"]


class BlockKind(NamedTuple):
    """One kind of block."""

    form: Form
    """What it runs in where a recipe says nothing."""
    free: bool
    """Whether a recipe may say otherwise."""


LAYERS, ATTENTION, PRODUCTS, EMBEDDINGS = (
    "layers",
    "attention-products",
    "other-products",
    "embeddings",
)
BLOCKS: dict[str, BlockKind] = {
    LAYERS: BlockKind("int8", free=False),
    EMBEDDINGS: BlockKind("int8", free=True),
    ATTENTION: BlockKind("float", free=True),
    PRODUCTS: BlockKind("int8", free=True),
    "layer-norms": BlockKind("float", free=False),
    "softmaxes": BlockKind("float", free=False),
    "gelus": BlockKind("float", free=False),
}
FREE = tuple(name for name, block in BLOCKS.items() if block.free)
DEFAULT: dict[str, Form] = {name: BLOCKS[name].form for name in FREE}
EARLIER: dict[str, Form] = {EMBEDDINGS: "float", ATTENTION: "int8", PRODUCTS: "int8"}
"""What an edit means that says nothing of blocks."""
LEAST_TABLE = 2**18
"""Values of an embedding table from which its bytes count."""


def resolve_forms(said: Mapping[str, Form]) -> dict[str, Form]:
    """The form of every kind a recipe may speak of: its own, or that of the table.

    Raises:
        ValueError: if it speaks of another.
    """
    for name in said:
        if name not in FREE:
            raise ValueError(f"blocks: got {name!r}, want one of {', '.join(FREE)}")
    return {name: said.get(name, BLOCKS[name].form) for name in FREE}


def find_float_products(graph: fx.Graph, forms: Mapping[str, Form]) -> set[fx.Node]:
    """The products of activations that run in float."""
    attention = find_attention_products(graph)
    return {
        node
        for node in graph.nodes
        if node.target in operators.MATMULS
        and forms[ATTENTION if node in attention else PRODUCTS] == "float"
    }


def find_attention_products(graph: fx.Graph) -> set[fx.Node]:
    """Both products of every attention: the one whose scores a softmax takes, and the one that takes what it gives."""
    found: set[fx.Node] = set()
    for node in graph.nodes:
        if node.target in operators.SOFTMAX:
            found |= _products_before(node) | _products_behind(node)
    return found


def find_tables(module: fx.GraphModule) -> list[fx.Node]:
    """The embeddings whose table of parameters is large enough to be stored in int8, in the order they run."""
    found = []
    for node in module.graph.nodes:
        if node.target is operators.EMBEDDING:
            table = tracing.get_parameter(module, node.args[0])
            if table is not None and table.ndim == 2 and table.numel() >= LEAST_TABLE:
                found.append(node)
    return found


def count_blocks(module: fx.GraphModule, forms: Mapping[str, Form]) -> dict[str, tuple[str, int]]:
    """What each kind of block of a float model runs in, and how many it has; kinds that it lacks are not named."""
    attention = find_attention_products(module.graph)
    counted: Counter[str] = Counter()
    for node in module.graph.nodes:
        if node.target in operators.MATMULS:
            counted[ATTENTION if node in attention else PRODUCTS] += 1
        elif node.target in KINDS:
            counted[KINDS[node.target]] += 1
    counted[EMBEDDINGS] = len(find_tables(module))
    return {
        name: (forms.get(name, block.form), counted[name])
        for name, block in BLOCKS.items()
        if counted[name]
    }


KINDS = {
    **dict.fromkeys(operators.LAYERS, LAYERS),
    operators.LAYER_NORM: "layer-norms",
    **dict.fromkeys(operators.SOFTMAX, "softmaxes"),
    operators.GELU: "gelus",
}


def _products_before(softmax: fx.Node) -> set[fx.Node]:
    """The products whose scores, scaled and masked, a softmax takes."""
    ahead, found, seen = [softmax], set[fx.Node](), set[fx.Node]()
    while ahead:
        for source in ahead.pop().all_input_nodes:
            if source.target in operators.MATMULS:
                found.add(source)
            elif source not in seen and (
                operators.is_passing(source) or source.target in operators.SCORING
            ):
                seen.add(source)
                ahead.append(source)
    return found


def _products_behind(softmax: fx.Node) -> set[fx.Node]:
    """The products that take its probabilities, moved or dropped out."""
    ahead, found = [softmax], set[fx.Node]()
    while ahead:
        for user in ahead.pop().users:
            if user.target in operators.MATMULS:
                found.add(user)
            elif operators.is_passing(user):
                ahead.append(user)
    return found
