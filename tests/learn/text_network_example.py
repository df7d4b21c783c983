"""The smallest configurations of every type of text model, and what data and tasks want of them."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import nn

from edgekd.interface import BATCH
from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.learn import blueprint as blueprints
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.text_network import TEXT_TYPES

VOCABULARY, LONGEST, WIDTH = 23, 12, 16
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 16,
}
OWN: dict[str, dict[str, Any]] = {
    "albert": {"embedding_size": 8},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0}
    | {"position_buckets": 8, "share_att_key": True, "norm_rel_ebd": "layer_norm"},
    "distilbert": {"dim": WIDTH, "n_layers": 2, "n_heads": 4, "hidden_dim": 24},
    "electra": {"embedding_size": 8},
    "gemma": {"head_dim": 8},
    "gemma2": {
        "head_dim": 8,
    },
    "gemma3_text": {
        "head_dim": 8,
    },
    "gpt2": {"n_embd": WIDTH, "n_layer": 2, "n_head": 4, "n_positions": 16},
    "opt": {"ffn_dim": 24, "word_embed_proj_dim": WIDTH},
    "phi3": {"pad_token_id": 0},
    "smollm3": {
        "pad_token_id": 0,
    },
}
ENCODERS = [name for name, kind in TEXT_TYPES.items() if not kind.is_causal]
TEXT = (
    Tensor("text", "int64", (BATCH, "text_length"), "index", below=VOCABULARY),
    Tensor("text_mask", "int64", (BATCH, "text_length"), "mask"),
)


def describe(kind: str, **changed: Any) -> dict[str, Any]:
    """The smallest configuration of a type."""
    positions = {"max_position_embeddings": 18, "pad_token_id": 1}
    own = OWN.get(kind, positions if TEXT_TYPES[kind].skips_padding else {})
    return {"model_type": kind, **SIZES, **own, **changed}


def ends(output: Tensor, **sizes: int) -> Interface:
    """Texts of `VOCABULARY` tokens to one output."""
    axes = (Axis(BATCH), Axis("text_length", 1, 5, LONGEST))
    return Interface(TEXT, (output,), axes, {"vocabulary": VOCABULARY, "longest": LONGEST, **sizes})


CLASSES = ends(Tensor("logits", "float32", (BATCH, 3), "logits", 0, 1, "labels"), classes=3)
PAIRS = CLASSES._replace(
    inputs=(*TEXT, Tensor("text_types", "int64", (BATCH, "text_length"), "index", below=2)),
    sizes={**CLASSES.sizes, "types": 2},
)
"""Of two texts, told apart by the types of their tokens."""
TAGS = ends(
    Tensor("logits", "float32", (BATCH, "text_length", 3), "logits", 0, 2, "tags"), classes=3
)
VECTOR = ends(Tensor("embedding", "float32", (BATCH, WIDTH), target="pairs"), dimensions=WIDTH)
_EACH = (BATCH, "text_length", VOCABULARY)
NEXT = ends(Tensor("logits", "float32", _EACH, "logits", 0, 2, "next_tokens"))
MASKED = ends(Tensor("logits", "float32", _EACH, "logits", 0, 2, "masked_tokens"))


def plan(fields: dict[str, Any], interface: Interface, **knobs: Any) -> Blueprint:
    arguments = {"config": json.dumps(fields), **knobs}
    return Blueprint(builder="transformers", arguments=arguments, interface=interface)


def build(fields: dict[str, Any], interface: Interface, **knobs: Any) -> nn.Module:
    torch.manual_seed(0)
    return blueprints.build(plan(fields, interface, **knobs)).eval()


def texts() -> tuple[torch.Tensor, torch.Tensor]:
    """Two texts, the second of 4 tokens and padding."""
    tokens = torch.randint(2, VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.ones(2, 9, dtype=torch.int64)
    mask[1, 4:] = 0
    return tokens, mask
