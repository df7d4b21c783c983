"""The transformers model that a GGUF file holds: its configuration, and its tensors under the names that it has there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import InputError
from edgekd.learn.gguf.reading import GgufFile
from edgekd.learn.gguf.reading import read_tensors

TYPES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""What the file calls a model, and what transformers does."""
_INTERLEAVED = ("llama",)
"""Those whose queries and keys llama.cpp stores with the two halves of a rotation side by side."""
_SIZES = {
    "block_count": "num_hidden_layers",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
}
_WHOLE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_IN_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_LAYER = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")
_COMPUTED = ("rope_freqs.weight",)


def read_config(file: GgufFile) -> dict[str, Any]:
    """The fields of a config.json; sizes are not looked at yet.

    Raises:
        InputError: if the file holds a model of another kind, or lacks a size.
    """
    kind = file.metadata.get("general.architecture")
    if not isinstance(kind, str) or kind not in TYPES:
        raise InputError(
            f"{file.path}: got a model of type {str(kind)[:40]!r}, want {', '.join(TYPES)}"
        )
    fields: dict[str, Any] = {"model_type": TYPES[kind]}
    for theirs, own in _SIZES.items():
        fields[own] = _number(file, f"{kind}.{theirs}", int)
    heads = fields["num_attention_heads"]
    fields["num_key_value_heads"] = _number(file, f"{kind}.attention.head_count_kv", int, heads)
    epsilon = _number(file, f"{kind}.attention.layer_norm_rms_epsilon", float, 1e-6)
    fields["rms_norm_eps"] = float(np.float32(epsilon))
    fields["rope_theta"] = _number(file, f"{kind}.rope.freq_base", float, 10_000.0)
    if file.metadata.get(f"{kind}.rope.scaling.type", "none") != "none":
        raise InputError(f"{file.path}: got scaled rotations, want plain ones")
    if f"{kind}.attention.key_length" in file.metadata:
        fields["head_dim"] = _number(file, f"{kind}.attention.key_length", int)
    shapes = {each.name: each.shape for each in file.tensors}
    if "token_embd.weight" not in shapes:
        raise InputError(f"{file.path}: got no embedding of tokens, want one")
    fields["vocab_size"] = shapes["token_embd.weight"][0]
    fields["tie_word_embeddings"] = "output.weight" not in shapes
    return fields


def _number(file: GgufFile, name: str, kind: type, default: Any = None) -> Any:
    value = file.metadata.get(name, default)
    if type(value) is not kind:
        raise InputError(f"{file.path}: {name}: got {str(value)[:40]}, want a number")
    return value


def read_model(file: GgufFile) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the tensors in float32 under their names in transformers.

    Raises:
        InputError: if one has no such name, or they are more than memory holds.
    """
    fields = read_config(file)
    kind = file.metadata["general.architecture"]
    heads = {"attn_q": fields["num_attention_heads"], "attn_k": fields["num_key_value_heads"]}
    for name, values in read_tensors(file):
        if name in _COMPUTED:
            continue
        match = _LAYER.fullmatch(name)
        if name in _WHOLE:
            yield _WHOLE[name], values
        elif match is not None and match[2] in _IN_LAYER:
            if kind in _INTERLEAVED and match[2] in heads:
                values = _part_halves(values, heads[match[2]], f"{file.path}: {name}")
            yield f"model.layers.{match[1]}.{_IN_LAYER[match[2]]}.{match[3]}", values
        else:
            raise InputError(f"{file.path}: got the tensor {name[:80]!r}, which {kind} has not")


def _part_halves(values: NDArray[np.float32], heads: int, where: str) -> NDArray[np.float32]:
    """Rows of each head, of which every second one comes first, then the others."""
    rows = values.shape[0]
    if heads < 1 or rows % (2 * heads):
        raise InputError(f"{where}: got {rows} rows for {heads} heads, want as many of each")
    pairs = values.reshape(heads, rows // heads // 2, 2, *values.shape[1:])
    return np.asarray(pairs.swapaxes(1, 2).reshape(values.shape), np.float32)
