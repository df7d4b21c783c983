"""Writes tokenizer.json: 1,000 pieces of words as BERT's, learned from the descriptions, with a mask token.

    python make_tokenizer.py packages.jsonl.gz tokenizer.json

The library breaks ties as they come: another run may number the pieces in another order.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers import decoders
from tokenizers import models
from tokenizers import normalizers
from tokenizers import pre_tokenizers
from tokenizers import processors
from tokenizers import trainers

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def main(texts: str, goal: str) -> None:
    """Learns the pieces of the texts of a list and writes them."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece(prefix="##")
    trainer = trainers.WordPieceTrainer(
        vocab_size=1000, min_frequency=3, special_tokens=SPECIAL, show_progress=False
    )
    with gzip.open(texts, "rt", encoding="utf-8") as lines:
        made.train_from_iterator([json.loads(line)["text"] for line in lines], trainer)
    around = [(name, SPECIAL.index(name)) for name in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=around
    )
    Path(goal).write_text(made.to_str() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
