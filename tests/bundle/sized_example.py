"""A small bundle of texts with two files: one for short texts, and one, ten times as sure, for long ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.bench import golden
from edgekd.bundle import write as bundle_write
from edgekd.dataset import Dataset
from edgekd.fields.label import Label
from edgekd.fields.tokens import Tokens
from edgekd.task import interface_of
from edgekd.tasks import classification
from tests import text_example
from tests.bundle_example import row

SCALE = 10.0
BOUND = 4
"""The largest size that the first file is asked."""
DATA = Dataset(
    task="classification",
    inputs={"text": Tokens(vocabulary=text_example.VOCABULARY, usual=3, longest=9)},
    targets={"labels": Label(names=("a", "b", "c"))},
)
FAST, SURE = "onnxruntime-fp32-1t", "openvino-fp32-1t"


def groups(
    scale: float = 1.0, sizes: Mapping[str, int] = {"usual": 3, "longest": 9}
) -> golden.Golden:
    """Golden samples of these sizes."""
    made = {}
    for name, size in sizes.items():
        inputs = text_example.inputs(6, size)
        inputs["text_mask"][0] = 1
        answers = text_example.answers(inputs)["logits"] * scale
        made[name] = golden.GoldenGroup(inputs, {"logits": answers.astype(np.float32)})
    return made


def by_size(*rows: str) -> dict[str, Any]:
    """As choice.json has it: a row for each of two sizes."""
    mosts = (BOUND, None)
    return {
        "axis": "text_length",
        "buckets": [{"most": most, "row": name} for most, name in zip(mosts, rows, strict=True)],
    }


def make(folder: Path, **other: Any) -> Path:
    """A bundle at ``folder/bundle``; `other` arguments of `bundle_write.write`."""
    for name, scale in (("m1", 1.0), ("m2", SCALE)):
        text_example.write_onnx(folder / f"{name}.onnx", scale=scale)
        golden.write(folder / f"{name}.golden", groups(scale))
    rows = [row(FAST), row(SURE, profile="openvino")]
    parity = {"allowed": 1e-4}
    arguments: dict[str, Any] = {
        "name": "sized",
        "version": "0.1.0",
        "model": folder / "m1.onnx",
        "golden": folder / "m1.golden",
        "dataset": DATA,
        "interface": interface_of(classification.TASK, DATA),
        "metric": classification.TASK.score,
        "rows": rows,
        "chosen": FAST,
        "created_from": {},
        "parity": parity,
        "card": "# sized\n",
        "by_size": by_size(FAST, SURE),
        "more": {
            "openvino": bundle_write.MoreModel(folder / "m2.onnx", folder / "m2.golden", parity)
        },
        **other,
    }
    bundle_write.write(folder / "bundle", **arguments)
    return folder / "bundle"
