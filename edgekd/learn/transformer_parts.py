"""Where a transformer's parts lie, told by the names of its modules: blocks, embeddings, queries, keys, values, scores.

Known are edgekd's own networks and those of transformers that keep queries, keys and values in linear layers of their
own (BERT, RoBERTa, ELECTRA, DistilBERT, MPNet, DeBERTa, ViT, Llama, Qwen and their like). Attention that keeps all three
in one layer (GPT-2, ModernBERT, most of timm) has blocks alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import NamedTuple

from torch import nn

SCORES = ":scores"
"""After the path of an attention: what its queries make of its keys, before the softmax and before any mask."""
PROJECTIONS = (
    ("query", "key", "value"),
    ("q_lin", "k_lin", "v_lin"),
    ("q_proj", "k_proj", "v_proj"),
    ("query_proj", "key_proj", "value_proj"),
    ("q", "k", "v"),
)
FUSED = ("c_attn", "Wqkv", "qkv", "query_key_value", "qkv_proj", "in_proj")
"""Names of a layer that gives queries, keys and values in one."""
_MOVED = ("rotary", "relative", "rel_embeddings", "q_norm", "distance_embedding")
"""In names of modules: what changes scores beyond the products of queries and keys."""


class TransformerParts(NamedTuple):
    """Places of one transformer, shallow to deep."""

    blocks: tuple[str, ...]
    embeddings: str = ""
    """What enters the first block; empty if that is not known."""
    queries: tuple[str, ...] = ()
    """One a block; empty where they have no layer of their own, and so of keys and values."""
    keys: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    """Empty where positions change them on their way."""


def find_parts(model: nn.Module) -> TransformerParts | None:
    """Find the parts of the outermost list of blocks that all have attention; None of a model without one."""
    for path, module in model.named_modules():
        children = dict(module.named_children())
        if not children or not all(name.isdecimal() for name in children):
            continue
        found = {f"{path}.{name}" if path else name: each for name, each in children.items()}
        attention = {block: _find_attention(each) for block, each in found.items()}
        if all(each is not None for each in attention.values()):
            inside = {block: each for block, each in attention.items() if each is not None}
            return _collect(model, inside)
    return None


def find_projections(attention: nn.Module) -> tuple[str, str, str] | None:
    """Find the names of the layers that give queries, keys and values; None if they have none of their own."""
    names = {name for name, _ in attention.named_children()}
    return next((each for each in PROJECTIONS if names.issuperset(each)), None)


def count_heads(attention: nn.Module, width: int) -> int:
    """Count the heads of an attention whose queries are `width` wide.

    Raises:
        ValueError: if it does not say.
    """
    for name in ("heads", "num_attention_heads", "n_heads", "num_heads"):
        heads = getattr(attention, name, None)
        if isinstance(heads, int) and heads > 0 and width % heads == 0:
            return heads
    for name in ("head_dim", "attention_head_size"):
        size = getattr(attention, name, None)
        if isinstance(size, int) and size > 0 and width % size == 0:
            return width // size
    raise ValueError("got an attention that does not say how many heads it has")


def _find_attention(block: nn.Module) -> str | None:
    """The path of a block's first attention inside it; None if it has none."""
    for path, module in block.named_modules():
        names = {name for name, _ in module.named_children()}
        if find_projections(module) is not None or names.intersection(FUSED):
            return path
    return None


def _collect(model: nn.Module, attention: Mapping[str, str]) -> TransformerParts:
    modules = dict(model.named_modules())
    places = [f"{block}.{inside}" if inside else block for block, inside in attention.items()]
    blocks, embeddings = tuple(attention), _find_embeddings(model)
    split = [find_projections(modules[place]) for place in places]
    if any(each is None for each in split):
        return TransformerParts(blocks, embeddings)
    names = [each for each in split if each is not None]
    queries, keys, values = (
        tuple(f"{place}.{each[at]}" for place, each in zip(places, names, strict=True))
        for at in range(3)
    )
    return TransformerParts(
        blocks, embeddings, queries, keys, values, tuple(_list_scores(modules, places))
    )


def _list_scores(modules: Mapping[str, nn.Module], places: list[str]) -> Iterator[str]:
    if any(word in path for path in modules for word in _MOVED):
        return
    for place in places:
        yield f"{place}.scores" if f"{place}.scores" in modules else place + SCORES


def _find_embeddings(model: nn.Module) -> str:
    """The module called embeddings around the first table of tokens, or that table itself."""
    for path, module in model.named_modules():
        if isinstance(module, nn.Embedding):
            around, _, _ = path.rpartition(".")
            return around if around.rpartition(".")[2] == "embeddings" else path
    return ""
