"""NNCF's int4 of the same float decoders, with and without GPTQ, on the same held-out text.

    PEERS/bin/python benchmarks/weight_only/peer.py TEXT WORK SEED      # adds to WORK/result-SEED.json

Blocks of 32, symmetric; the head and the table in 8 bits, as NNCF does by itself. Activations stay float.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import measure
import nncf
import numpy as np
import openvino
import torch


def judge(model: openvino.Model, teacher: openvino.Model, held: measure.Bytes) -> dict[str, float]:
    """As `measure.judge`."""
    options = {
        "INFERENCE_NUM_THREADS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
    }
    got_of, want_of = (
        openvino.Core().compile_model(each, "CPU", options) for each in (model, teacher)
    )
    nats = apart = 0.0
    for number in range(measure.HELD):
        size = measure.BATCH * (measure.LENGTH + 1)
        rows = held[number * size : (number + 1) * size].reshape(measure.BATCH, -1).astype(np.int64)
        feeds = [np.ascontiguousarray(rows[:, :-1]), measure.MASK.numpy()]
        got, want = (
            torch.log_softmax(torch.from_numpy(run(feeds)[0]), 2) for run in (got_of, want_of)
        )
        nats -= float(got.gather(2, torch.from_numpy(rows)[:, 1:, None]).sum())
        apart += float((want.exp() * (want - got)).sum())
    count = measure.HELD * measure.BATCH * measure.LENGTH
    return {"bits_per_byte": nats / np.log(2) / count, "kl": apart / count}


def main(text: str, work: str, seed: int) -> None:
    torch.set_num_threads(1)
    data, held = measure.read_texts(Path(text))
    model, random = measure.build().eval(), np.random.default_rng(seed + 100)
    model.load_state_dict(torch.load(Path(work) / f"float{seed}.pt"))
    example = (torch.zeros(2, measure.LENGTH, dtype=torch.int64), measure.MASK[:2])

    def convert() -> openvino.Model:  # from torch: NNCF's GPTQ refuses weights as ONNX stores them
        return openvino.convert_model(model, example_input=example)

    inputs = [
        {"tokens": row[None], "mask": np.ones((1, measure.LENGTH), np.int64)}
        for _ in range(4)
        for row in measure.draw(data, random)[:, :-1].numpy()
    ]
    rows = {}
    for name, gptq in (("nearest", False), ("gptq", True)):
        given = nncf.compress_weights(
            convert(),
            mode=nncf.CompressWeightsMode.INT4_SYM,
            group_size=32,
            dataset=nncf.Dataset(inputs) if gptq else None,
            gptq=gptq or None,
        )
        rows[f"nncf {name}"] = judge(given, convert(), held)
        print(name, rows, flush=True)
    goal = Path(work) / f"result-{seed}.json"
    result = json.loads(goal.read_text())
    result["rows"] |= rows
    base = result["rows"]["float"]["bits_per_byte"]
    lost = {name: row["bits_per_byte"] - base for name, row in result["rows"].items()}
    result["recovered"] |= {f"of_{name}": 1 - lost["qad"] / lost[name] for name in rows}
    goal.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
