"""The real all-MiniLM-L6-v2 in int8 beside what ONNX Runtime and NNCF make of it: agreement and time.

    python benchmarks/encoder_int8/measure.py peers MODEL TEXTS WORK --nncf PYTHON
    python benchmarks/encoder_int8/measure.py calibrated MODEL TEXTS WORK
    python benchmarks/encoder_int8/measure.py learned MODEL TEXTS WORK
    python benchmarks/encoder_int8/measure.py time WORK --output benchmarks/encoder_int8/result.json

MODEL is the folder of the published encoder, TEXTS a file with a sentence a line (here the 60,561 summaries
of Debian 12's packages), PYTHON one that has nncf. The first three make files; `time` asks each for the
vectors of 300 sentences that nothing was calibrated or learned on, and times them in turns, one thread,
batch 1, another order every round; in several processes, one after the other, for where the memory of a
process lies moves a file's time by some percent as long as it runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import sentences
import timing
import torch
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
    for name, run in (("peers", make_peers), ("calibrated", make_ours), ("learned", make_ours)):
        make = verbs.add_parser(name)
        make.set_defaults(run=run, name=name)
        for path in ("model", "texts", "work"):
            make.add_argument(path, type=Path)
        if name == "peers":
            make.add_argument("--nncf", required=True)
        make.add_argument("--learning", type=int, default=1600, help="sentences learned on")
    timed = verbs.add_parser("time")
    timed.set_defaults(run=time_all)
    timed.add_argument("work", type=Path)
    timed.add_argument("--output", type=Path, required=True)
    timed.add_argument("--rounds", type=int, default=15)
    timed.add_argument("--starts", type=int, default=8)
    turn = verbs.add_parser("start")
    turn.set_defaults(run=run_start)
    turn.add_argument("work", type=Path)
    turn.add_argument("--rounds", type=int, default=15)
    turn.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    asked.run(asked)


def make_peers(asked: argparse.Namespace) -> None:
    from onnxruntime import quantization as ort

    model, tokens = _read(asked)
    work, floats = asked.work, str(asked.work / "float.onnx")
    np.savez(work / "held.npz", *[ids for ids, _ in sentences.batches(tokens.held, 32, 0)])
    to_onnx.write(model, work / "float.onnx", ends(model), opset=OPSET)
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
    paths = [floats, str(work / "calibration.npz"), str(work / "nncf.xml")]
    subprocess.run([asked.nncf, str(peer), *paths], check=True)


def make_ours(asked: argparse.Namespace) -> None:
    model, tokens = _read(asked)
    calibration = _tensors(tokens.calibration)
    started = post_training.quantize(
        model, ends(model), NUMERICS["asymmetric"], lambda: calibration, correct=False
    )
    told: dict[str, Any] = {"start": started.summary()}
    if asked.name == "learned":
        names = [end.name for end in ends(model).inputs]
        learning = [dict(zip(names, batch, strict=True)) for batch in _tensors(tokens.learning)]
        learning = [batch for batch in learning if len(batch[names[0]]) > 1]
        began = time.perf_counter()
        _, history = edgekd.distil(
            started.model,
            model,
            learning,
            losses=["value-cosine"],
            optimizer="adamw",
            learning_rate=3e-5,
            weight_decay=0.0,
            epochs=1,
        )
        told |= {
            "sentences": len(tokens.learning),
            "steps": len(learning),
            "seconds": round(time.perf_counter() - began),
            "history": [dict(row) for row in history],
        }
    for engine, profile in OURS.items():
        written = emit.prepare_export(started.model.eval(), PROFILES[profile])
        path = asked.work / f"ours-{asked.name}-{engine}.onnx"
        least = max(OPSET, emit.least_opset(written))
        to_onnx.write(written, path, ends(model), opset=least)
    (asked.work / f"{asked.name}.json").write_text(json.dumps(told))


def _read(asked: argparse.Namespace) -> tuple[SentenceEncoder, sentences.Sentences]:
    asked.work.mkdir(parents=True, exist_ok=True)
    tokens = sentences.read(asked.texts, asked.model / "tokenizer.json", asked.learning)
    return SentenceEncoder(asked.model).eval(), tokens


def _tensors(rows: list[list[int]]) -> list[tuple[torch.Tensor, ...]]:
    return [tuple(map(torch.from_numpy, row)) for row in sentences.batches(rows, 32, 0)]


def time_all(asked: argparse.Namespace) -> None:
    stored = np.load(asked.work / "held.npz")
    held = [stored[name] for name in stored.files]
    starts = [_start(asked.work, asked.rounds, seed) for seed in range(asked.starts)]
    agreements, times = timing.agreements(asked.work, held), timing.summarize(asked.work, starts)
    rows = [told | taken for told, taken in zip(agreements, times, strict=True)]
    made = {name: asked.work / f"{name}.json" for name in ("calibrated", "learned")}
    told = {name: json.loads(path.read_text()) for name, path in made.items() if path.exists()}
    command = (
        "python benchmarks/encoder_int8/measure.py time WORK "
        f"--rounds {asked.rounds} --starts {asked.starts}"
    )
    result = {"command": command, "machine": timing.describe_machine(), "rows": rows, **told}
    asked.output.write_text(json.dumps(result, indent=1) + "\n")
    for row in rows:
        sys.stdout.write(json.dumps(row) + "\n")


def _start(work: Path, rounds: int, seed: int) -> dict[str, list[float]]:
    given = ["start", str(work), "--rounds", str(rounds), "--seed", str(seed)]
    ran = subprocess.run([sys.executable, __file__, *given], check=True, stdout=subprocess.PIPE)
    found: dict[str, list[float]] = json.loads(ran.stdout)
    return found


def run_start(asked: argparse.Namespace) -> None:
    sys.stdout.write(json.dumps(timing.take_times(asked.work, asked.rounds, asked.seed)))


if __name__ == "__main__":
    main()
