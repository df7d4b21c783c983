"""Small GGUF files, written by the layout that ggml's docs/gguf.md describes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Tensors = Mapping[str, tuple[int, tuple[int, ...], bytes]]
"""Name to type, shape as torch has it, and bytes."""


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def entry(value: Any) -> bytes:
    """A value with its type before it."""
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    inner = entry(value[0])[:4]
    return (
        struct.pack("<I", 9)
        + inner
        + struct.pack("<Q", len(value))
        + b"".join(entry(each)[4:] for each in value)
    )


def pack(metadata: Mapping[str, Any], tensors: Tensors, *, version: int = 3) -> bytes:
    """A whole file, tensors at multiples of 32 bytes."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for name, value in metadata.items():
        head += text(name) + entry(value)
    body = b""
    for name, (kind, shape, data) in tensors.items():
        head += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape[::-1])
        head += struct.pack("<IQ", kind, len(body))
        body += data + bytes(-len(data) % 32)
    return head + bytes(-len(head) % 32) + body


def llama(width: int = 16, layers: int = 2, heads: int = 4, groups: int = 2) -> dict[str, Any]:
    """Metadata of a tiny model and its pairs of bytes."""
    kind = "llama"
    return {
        "general.architecture": kind,
        f"{kind}.block_count": layers,
        f"{kind}.context_length": 32,
        f"{kind}.embedding_length": width,
        f"{kind}.feed_forward_length": 24,
        f"{kind}.attention.head_count": heads,
        f"{kind}.attention.head_count_kv": groups,
        f"{kind}.attention.layer_norm_rms_epsilon": 1e-5,
        f"{kind}.rope.freq_base": 5000.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": ["<|endoftext|>", "a", "b", "Ġ", "1", "ab", "Ġab"],
        "tokenizer.ggml.token_type": [3, 1, 1, 1, 1, 1, 1],
        "tokenizer.ggml.merges": ["a b", "Ġ ab"],
    }


def write_model(folder: Path, state: Mapping[str, Any]) -> Path:
    """A file of a tiny llama, its names and the order of its rows turned into llama.cpp's."""
    names = {
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        **{f"self_attn.{key}_proj": f"attn_{key}" for key in "qkv"},
        "self_attn.o_proj": "attn_output",
        **{f"mlp.{key}_proj": f"ffn_{key}" for key in ("gate", "up", "down")},
    }
    tensors: dict[str, tuple[int, tuple[int, ...], bytes]] = {}
    for name, value in state.items():
        values = value.numpy().astype(np.float32)
        inner = name.removeprefix("model.layers.").removesuffix(".weight")
        number, _, leaf = inner.partition(".")
        if leaf in names:
            theirs = f"blk.{number}.{names[leaf]}.weight"
            heads = {"attn_q": 4, "attn_k": 2}.get(names[leaf])
            if heads:  # the two halves of a rotation side by side
                halves = values.reshape(heads, 2, -1, values.shape[1])
                values = halves.swapaxes(1, 2).reshape(values.shape)
        else:
            theirs = {
                "model.embed_tokens.weight": "token_embd.weight",
                "model.norm.weight": "output_norm.weight",
            }.get(name, "")
        if theirs:
            tensors[theirs] = (0, values.shape, np.ascontiguousarray(values).tobytes())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny.gguf"
    path.write_bytes(pack(llama(), tensors))
    return path
