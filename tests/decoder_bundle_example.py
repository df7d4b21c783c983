"""The bundle of a tiny decoder whose chosen engine takes fused operators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgekd import files
from edgekd.bench import golden
from edgekd.bench.golden import GoldenGroup
from edgekd.bundle import write as bundle_write
from edgekd.dataset import Dataset
from edgekd.field import RaggedRows
from edgekd.fields.next_tokens import NextTokens
from edgekd.fields.number import Number
from edgekd.fields.tokens import Tokens
from edgekd.learn import greedy
from edgekd.learn.export.fused_decoder import FusedDecoder
from edgekd.task import interface_of
from edgekd.tasks import language_modelling
from tests import bundle_example
from tests import decoder_example as example

TOLERANCE = 1e-3
LENGTH = 8


def dataset() -> Dataset:
    """Texts as numbers of tokens."""
    text = Tokens(vocabulary=example.VOCABULARY, usual=LENGTH, longest=example.LONGEST)
    count = Number(columns=("bytes",), mean=(0.0,), std=(1.0,))
    following = NextTokens(vocabulary=example.VOCABULARY)
    targets = {language_modelling.NEXT: following, language_modelling.BYTES: count}
    return Dataset(task="language-modelling", inputs={"text": text}, targets=targets)


def make(folder: Path, model: nn.Module | None = None, **other: Any) -> Path:
    """A bundle at ``folder/bundle``; `other` replaces arguments of `bundle_write.write`."""
    folder.mkdir(parents=True, exist_ok=True)
    network = example.decoder() if model is None else model
    found = dataset()
    interface = interface_of(language_modelling.TASK, found)
    feeds = example.texts((LENGTH, LENGTH))
    with torch.no_grad():
        logits = network(*(torch.from_numpy(each) for each in feeds.values())).numpy()
    stored = {"text": RaggedRows(feeds["text"][0].astype(np.int32), np.array([0, LENGTH]))}
    golden.write(
        folder / "golden.safetensors",
        {golden.USUAL: GoldenGroup(feeds, {"logits": logits}, stored)},
    )
    text = greedy.write_golden_text(network, feeds, interface)
    rows = [
        bundle_example.row(name, parity_max_abs=1e-5, parity_rms=1e-6, profile="")
        for name in ("onnxruntime-fp32-1t", "openvino-fp32-1t", "teacher-onnxruntime-fp32-1t")
    ]
    arguments: dict[str, Any] = {
        "name": "tiny",
        "version": "0.1.0",
        "model": example.write(folder / "model.onnx", network),
        "golden": folder / "golden.safetensors",
        "dataset": found,
        "interface": interface,
        "metric": language_modelling.TASK.score,
        "rows": rows,
        "chosen": "onnxruntime-fp32-1t",
        "created_from": {"data": "0" * 64},
        "parity": {"allowed": TOLERANCE},
        "card": "# tiny\n",
        "fused": example.write(folder / "fused.onnx", FusedDecoder(network)),
        "generation": files.canonical_json(text),
        **other,
    }
    bundle_write.write(folder / "bundle", **arguments)
    return folder / "bundle"
