"""The real all-MiniLM-L6-v2 in int8 beside what ONNX Runtime and NNCF make of it: agreement and time.

    python benchmarks/encoder_int8/measure.py make MODEL TEXTS WORK --nncf PYTHON
    python benchmarks/encoder_int8/measure.py time WORK --output benchmarks/encoder_int8/result.json

MODEL is the folder of the published encoder, TEXTS a file with a sentence a line (here the 60,561 summaries of Debian 12's
packages), PYTHON one that has nncf. `make` writes all files and asks each for the vectors of 300 sentences that nothing was
calibrated or learned on; `time` times them in turns, one thread, batch 1, a fresh order every round.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import sentences
import timing
from encoder import SentenceEncoder
from encoder import ends

import edgekd
from edgekd.learn.export import to_onnx
from edgekd.learn.quant import emit
from edgekd.learn.quant import post_training
from edgekd.profile import NUMERICS
from edgekd.profile import PROFILES

OURS = {"onnxruntime": "x86", "openvino": "openvino"}
OPSET = 20
"""Of the float file that peers are given: the first with a GELU of its own, which they fuse."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(required=True)
    make = verbs.add_parser("make")
    make.set_defaults(run=make_all)
    for name in ("model", "texts", "work"):
        make.add_argument(name, type=Path)
    make.add_argument("--nncf", required=True)
    make.add_argument("--learning", type=int, default=6000)
    make.add_argument("--epochs", type=int, default=1)
    time = verbs.add_parser("time")
    time.set_defaults(run=time_all)
    time.add_argument("work", type=Path)
    time.add_argument("--output", type=Path, required=True)
    time.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    asked.run(asked)


def make_all(asked: argparse.Namespace) -> None:
    asked.work.mkdir(parents=True, exist_ok=True)
    tokens = sentences.read(asked.texts, asked.model / "tokenizer.json", asked.learning)
    model = SentenceEncoder(asked.model).eval()
    held = sentences.batches(tokens.held, 32, 0)
    np.savez(asked.work / "held.npz", *[ids for ids, _ in held])
    to_onnx.write(model, asked.work / "float.onnx", ends(model), opset=OPSET)
    _make_peers(asked, tokens)
    told: dict[str, Any] = {
        "sentences": {"held": len(tokens.held), "learned on": len(tokens.learning)}
    }
    told |= _make_ours(asked, model, tokens)
    (asked.work / "made.json").write_text(json.dumps(told, indent=1))


def _make_peers(asked: argparse.Namespace, tokens: sentences.Sentences) -> None:
    from onnxruntime import quantization as ort

    work, floats = asked.work, str(asked.work / "float.onnx")
    ort.quantize_dynamic(
        floats, str(work / "ort-dynamic.onnx"), per_channel=True, weight_type=ort.QuantType.QInt8
    )

    class Reader(ort.CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(sentences.batches(tokens.calibration, 1, 0))

        def get_next(self) -> dict[str, Any] | None:
            row = next(self.left, None)
            return None if row is None else {"input_ids": row[0], "attention_mask": row[1]}

    ort.quantize_static(floats, str(work / "ort-static.onnx"), Reader(), per_channel=True)
    calibration = [ids for ids, _ in sentences.batches(tokens.calibration, 1, 0)]
    np.savez(work / "calibration.npz", *calibration)
    peer = Path(__file__).with_name("nncf_peer.py")
    subprocess.run(
        [asked.nncf, str(peer), floats, str(work / "calibration.npz"), str(work / "nncf.xml")],
        check=True,
    )


def _make_ours(
    asked: argparse.Namespace, model: SentenceEncoder, tokens: sentences.Sentences
) -> dict[str, Any]:
    import torch

    def tensors(rows: list[list[int]], most: int) -> list[tuple[torch.Tensor, ...]]:
        return [tuple(map(torch.from_numpy, row)) for row in sentences.batches(rows, most, 0)]

    calibration = tensors(tokens.calibration, 32)
    started = post_training.quantize(
        model, ends(model), NUMERICS["asymmetric"], lambda: calibration, correct=False
    )
    _write(asked.work, "calibrated", started.model, model)
    told = {"start": started.summary()}
    if asked.epochs:
        learning = [batch for batch in tensors(tokens.learning, 32) if len(batch[0]) > 1]
        _, history = edgekd.distil(
            started.model,
            model,
            learning,
            losses=["value-cosine"],
            optimizer="adamw",
            learning_rate=3e-5,
            weight_decay=0.0,
            epochs=asked.epochs,
        )
        told["history"] = [dict(row) for row in history]
        _write(asked.work, "learned", started.model, model)
    return told


def _write(work: Path, name: str, quantized: Any, model: SentenceEncoder) -> None:
    for engine, profile in OURS.items():
        written = emit.prepare_export(quantized.eval(), PROFILES[profile])
        opset = max(OPSET, emit.least_opset(written))
        to_onnx.write(written, work / f"ours-{name}-{engine}.onnx", ends(model), opset=opset)


def time_all(asked: argparse.Namespace) -> None:
    stored = np.load(asked.work / "held.npz")
    held = [stored[name] for name in stored.files]
    rows = timing.run_all(asked.work, held, asked.rounds)
    told = json.loads((asked.work / "made.json").read_text())
    command = " ".join(["python", "benchmarks/encoder_int8/measure.py", "time", "WORK"])
    result = {"command": command, "machine": timing.describe_machine(), "rows": rows, **told}
    asked.output.write_text(json.dumps(result, indent=1) + "\n")
    for row in rows:
        sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
