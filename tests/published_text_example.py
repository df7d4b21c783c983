"""The folder of a small text model as publishers write it, with its tokenizer, and texts of two classes for it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from tests.learn.text_network_example import describe
from tests.tokenizer_example import pieces

PEOPLE, REST = ("ada", "bob", "zoe"), ("rome", "oslo", "cat")


def write_folder(
    folder: Path,
    kind: str = "bert",
    auto: str = "AutoModel",
    tokenizer: bytes | None = None,
    **changed: Any,
) -> Path:
    """config.json, model.safetensors, tokenizer.json; the weights are drawn, those that are shared stand there once."""
    import transformers

    folder.mkdir(parents=True)
    fields = describe(kind, vocab_size=30, **changed)
    torch.manual_seed(3)
    model = getattr(transformers, auto).from_config(transformers.AutoConfig.for_model(**fields))
    once = {value.data_ptr(): name for name, value in reversed(model.state_dict().items())}
    state = {name: model.state_dict()[name].contiguous() for name in once.values()}
    safetensors.torch.save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(fields))
    (folder / "tokenizer.json").write_bytes(tokenizer or pieces())
    return folder


def write_texts(path: Path, count: int = 240) -> Path:
    """JSON lines: of a person, or not."""
    draw, lines = random.Random(0), []
    for number in range(count):
        told = draw.choice(PEOPLE if number % 2 else REST)
        words = [draw.choice(("met", "left", "slept")), told, draw.choice(("in", "the"))]
        label = "person" if number % 2 else "none"
        lines.append(json.dumps({"text": " ".join(words), "label": label}))
    path.write_text("\n".join(lines))
    return path
