"""The real encoder as one module: tokens and their mask to a vector of length 1."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch import nn

from edgekd import interface

LONGEST = 512


class SentenceEncoder(nn.Module):
    """BERT, the mean of the tokens that count, length 1 (what its modules.json says)."""

    def __init__(self, folder: Path) -> None:
        from transformers import BertModel

        super().__init__()
        self.bert = BertModel.from_pretrained(
            folder, attn_implementation="eager", add_pooling_layer=False
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        counted = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * counted).sum(1) / counted.sum(1).clamp(min=1e-9)
        return torch.nn.functional.normalize(mean, dim=1)


def ends(model: SentenceEncoder) -> interface.Interface:
    """What it takes and gives."""
    config = model.bert.config
    sizes = (interface.BATCH, "length")
    return interface.Interface(
        (
            interface.Tensor("input_ids", "int64", sizes, "index", below=config.vocab_size),
            interface.Tensor("attention_mask", "int64", sizes, "mask"),
        ),
        (interface.Tensor("vector", "float32", (interface.BATCH, config.hidden_size)),),
        (interface.Axis(interface.BATCH), interface.Axis("length", 1, 64, LONGEST)),
    )
