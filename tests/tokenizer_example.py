"""Small tokenizers of the two usual kinds: pieces of words with tokens around a text, and pieces of bytes."""

from __future__ import annotations

import json
from typing import Any

TEXTS = [
    "Ada Lovelace slept in Rome",
    "Bob met the unbelievable cat",
    "Zoë left Oslo",
    "Ada met Bob",
]


def pieces() -> bytes:
    """A tokenizer.json as BERT's: WordPiece, [CLS] and [SEP] around, small letters."""
    words = [
        "ada",
        "love",
        "##lace",
        "slept",
        "in",
        "rome",
        "bob",
        "met",
        "the",
        "cat",
        "zoe",
        "left",
    ]
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words, "un", "##believ", "##able", "oslo", "."]
    return json.dumps(
        {
            "version": "1.0",
            "truncation": {
                "max_length": 3,
                "strategy": "LongestFirst",
                "stride": 0,
                "direction": "Right",
            },
            "padding": None,
            "added_tokens": [_added(number, names[number]) for number in range(4)],
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": True,
                "handle_chinese_chars": True,
                "strip_accents": None,
                "lowercase": True,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [
                    {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                    {"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
                ],
                "pair": [
                    {"Sequence": {"id": "A", "type_id": 0}},
                    {"Sequence": {"id": "B", "type_id": 1}},
                ],
                "special_tokens": {
                    name: {"id": name, "ids": [names.index(name)], "tokens": [name]}
                    for name in ("[CLS]", "[SEP]")
                },
            },
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {
                "type": "WordPiece",
                "unk_token": "[UNK]",
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": {name: number for number, name in enumerate(names)},
            },
        }
    ).encode()


def masked_pieces() -> bytes:
    """The same with a mask token, [MASK], as the last of the vocabulary."""
    value = json.loads(pieces())
    number = len(value["model"]["vocab"])
    value["model"]["vocab"]["[MASK]"] = number
    value["added_tokens"].append(_added(number, "[MASK]"))
    return json.dumps(value).encode()


def pair_pieces() -> bytes:
    """The same with [CLS] A [SEP] B [SEP] of two texts, types 0 and 1, as BERT joins them."""
    value = json.loads(pieces())
    special = [{"SpecialToken": {"id": "[SEP]", "type_id": number}} for number in (0, 1)]
    texts = [{"Sequence": {"id": "AB"[number], "type_id": number}} for number in (0, 1)]
    begin = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
    value["post_processor"]["pair"] = [begin, texts[0], special[0], texts[1], special[1]]
    return json.dumps(value).encode()


def byte_pairs() -> bytes:
    """A tokenizer.json as SmolLM2's: pairs of bytes, learned from `TEXTS`; <|endoftext|> ends a text."""
    from tokenizers import Tokenizer
    from tokenizers import decoders
    from tokenizers import models
    from tokenizers import pre_tokenizers
    from tokenizers import trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(TEXTS, trainer)
    return made.to_str().encode()


def change(data: bytes, **parts: Any) -> bytes:
    """The same file with other parts, ``model__vocab`` for one inside."""
    value = json.loads(data)
    for name, part in parts.items():
        *outer, last = name.split("__")
        inside = value
        for each in outer:
            inside = inside[each]
        inside[last] = part
    return json.dumps(value).encode()


def _added(number: int, name: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": name, "special": True, **flags}
