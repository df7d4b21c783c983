"""Language models of transformers that go on from keys and values: the package's cache is made inside a call.

An exporter takes flat tensors; a cache object among its inputs is what fails (pytorch#155862, onnxruntime PR #24231).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from edgekd.learn.cache import MASKED
from edgekd.learn.cache import CacheSizes
from edgekd.learn.cache import block_places
from edgekd.learn.decoder_parts import DecoderParts
from edgekd.learn.decoder_parts import LayerParts
from edgekd.learn.decoder_parts import Rotary

FUSED_TYPES = ("llama", "mistral", "qwen2", "qwen3")
"""Model types that are a Llama (Touvron et al. 2023, arXiv:2302.13971) but for biases and norms of heads."""
_STATIC_ROPES = ("default", "linear", "llama3", "yarn")
"""Those whose angles do not change with the length of a text."""


def find_sizes(network: Any) -> CacheSizes | None:
    """Return what a causal model of the package keeps of a token; None where its layers differ in it."""
    config = network.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    longest: Any = getattr(config, "max_position_embeddings", None)
    numbers = (config.num_hidden_layers, heads, size, longest)
    return CacheSizes(*numbers) if all(type(number) is int for number in numbers) else None


def decode(
    network: Any, tokens: torch.Tensor, mask: torch.Tensor, past: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """As `edgekd.learn.cache.Decoder.decode`, of a causal model of the package."""
    from transformers import DynamicCache

    cache = DynamicCache()
    for layer in range(len(past) // 2):
        cache.update(past[2 * layer], past[2 * layer + 1], layer)
    count = tokens.shape[1]
    places = (mask.cumsum(1) - 1).clamp_min(0)[:, mask.shape[1] - count :]
    found = network(
        input_ids=tokens,
        attention_mask=torch.where(block_places(mask, count), MASKED, 0.0),
        position_ids=places,
        past_key_values=cache,
        use_cache=True,
    )
    present = [each for layer in cache.layers for each in (layer.keys, layer.values)]
    return found.logits, *present


def read_parts(network: Any, logits: int) -> DecoderParts:
    """Read the parts of a Llama-like causal model of the package.

    Args:
        network: the model.
        logits: how many of its logits count, from the first.

    Raises:
        ValueError: naming what it has that they cannot tell.
    """
    config, sizes = network.config, find_sizes(network)
    if config.model_type not in FUSED_TYPES or sizes is None:
        raise ValueError(f"model_type {config.model_type!r} is not one of {', '.join(FUSED_TYPES)}")
    body = network.model
    kind = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if kind not in _STATIC_ROPES:
        raise ValueError(f"places are turned by {kind!r}, which depends on the text")
    return DecoderParts(
        embedding=body.embed_tokens,
        places=None,
        rotary=_read_rotary(body, sizes),
        layers=tuple(_read_layer(layer) for layer in body.layers),
        norm=body.norm,
        head=network.lm_head,
        heads=config.num_attention_heads,
        scale=body.layers[0].self_attn.scaling,
        sizes=sizes,
        logits=logits,
    )


def _read_layer(layer: Any) -> LayerParts:
    attention = layer.self_attn
    return LayerParts(
        attention_norm=layer.input_layernorm,
        query=attention.q_proj,
        key=attention.k_proj,
        value=attention.v_proj,
        project=attention.o_proj,
        forward_norm=layer.post_attention_layernorm,
        feed_forward=layer.mlp,
        query_norm=getattr(attention, "q_norm", None),
        key_norm=getattr(attention, "k_norm", None),
    )


def _read_rotary(body: Any, sizes: CacheSizes) -> Rotary:
    places = torch.arange(sizes.longest)[None]
    with torch.no_grad():
        cosine, sine = body.rotary_emb(torch.zeros(1, 1, sizes.head_size), places)
    half = sizes.head_size // 2
    return Rotary(cosine[0, :, :half].contiguous(), sine[0, :, :half].contiguous())
