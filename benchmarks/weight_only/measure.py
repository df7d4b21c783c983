"""Int4 weights of a decoder over bytes: rounding, GPTQ, and learning with the float model as teacher, over seeds.

    python benchmarks/weight_only/measure.py train TEXT WORK SEED      # a float decoder, 275 s
    python benchmarks/weight_only/measure.py learn TEXT WORK SEED      # its weights in blocks, WORK/result-SEED.json

TEXT is a file of texts apart by an empty line (Debian's package descriptions). A twentieth of them is held out.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch import nn

from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Tensor as End
from edgekd.learn.models.text_decoder import text_decoder
from edgekd.learn.weight_only import insertion
from edgekd.learn.weight_only.formats import BlockChoice
from edgekd.learn.weight_only.start import quantize_weights

LENGTH, BATCH, VOCABULARY, HELD = 128, 32, 256, 16
TRAIN_S, STEPS, RATE = 275.0, 110, 5e-5
CHOICE = BlockChoice("int4", 32, True, "int8", "int8")
INTERFACE = Interface(
    (
        End("text", "int64", ("batch", "text_length"), "index", VOCABULARY),
        End("text_mask", "int64", ("batch", "text_length"), "mask"),
    ),
    (End("logits", "float32", ("batch", "text_length", VOCABULARY), "logits", 0, 2),),
    (Axis("batch"), Axis("text_length", 1, LENGTH, LENGTH)),
)
Bytes = NDArray[np.uint8]


def read_texts(path: Path) -> tuple[Bytes, Bytes]:
    """Bytes to learn from, and those held out, by documents in a random order."""
    documents = path.read_bytes().split(b"\n\n")
    order = np.random.default_rng(0).permutation(len(documents))
    count = len(documents) // 20
    parts = (order[count:], order[:count])
    learned, held = (
        np.frombuffer(b"\n\n".join(documents[at] for at in part), np.uint8) for part in parts
    )
    return learned, held


def draw(data: Bytes, random: np.random.Generator) -> Tensor:
    """A batch of blocks [BATCH, LENGTH + 1]."""
    starts = random.integers(0, len(data) - LENGTH - 1, BATCH)
    return torch.from_numpy(
        np.stack([data[at : at + LENGTH + 1] for at in starts]).astype(np.int64)
    )


def build() -> nn.Module:
    return text_decoder(vocabulary=VOCABULARY, longest=LENGTH, layers=4, width=256, heads=4)


MASK = torch.ones(BATCH, LENGTH, dtype=torch.int64)


def train(data: Bytes, goal: Path, seed: int) -> None:
    """One float decoder."""
    torch.manual_seed(seed)
    model, random = build(), np.random.default_rng(seed)
    optimizer, began, step = (
        torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.01),
        time.time(),
        0,
    )
    while (part := (time.time() - began) / TRAIN_S) < 1:
        for group in optimizer.param_groups:
            group["lr"] = 1.5e-3 * min(1, step / 100) * max(0.02, 1 - part)
        batch = draw(data, random)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(batch[:, :-1], MASK)
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
    torch.save(model.state_dict(), goal)


def judge(model: nn.Module, teacher: nn.Module, held: Bytes) -> dict[str, float]:
    """Bits per byte, nats from the teacher and the share of bytes whose likeliest successor is the teacher's."""
    plain = insertion.bake_weights(model) if insertion.has_quantizers(model) else model
    nats = apart = same = 0.0
    for number in range(HELD):
        size = BATCH * (LENGTH + 1)
        rows = held[number * size : (number + 1) * size].reshape(BATCH, LENGTH + 1).astype(np.int64)
        batch = torch.from_numpy(rows)
        with torch.no_grad():
            got, want = (torch.log_softmax(m(batch[:, :-1], MASK), 2) for m in (plain, teacher))
        nats -= float(got.gather(2, batch[:, 1:, None]).sum())
        apart += float((want.exp() * (want - got)).sum())
        same += float((got.argmax(2) == want.argmax(2)).sum())
    count = HELD * BATCH * LENGTH
    return {"bits_per_byte": nats / np.log(2) / count, "kl": apart / count, "same": same / count}


def learn(model: nn.Module, teacher: nn.Module, data: Bytes, seed: int) -> None:
    """The divergence from the teacher's answers alone, no labels."""
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.0)
    random = np.random.default_rng(seed + 200)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * step / STEPS))
        inputs = draw(data, random)[:, :-1]
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                want = teacher(inputs, MASK)
            got = model(inputs, MASK)
        want, got = (torch.log_softmax(each.float(), 2) for each in (want, got))
        loss = (want.exp() * (want - got)).sum(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main(job: str, text: str, work: str, seed: int) -> None:
    torch.set_num_threads(1)
    data, held = read_texts(Path(text))
    weights = Path(work) / f"float{seed}.pt"
    if job == "train":
        train(data, weights, seed)
        return
    teacher, random = build().eval(), np.random.default_rng(seed + 100)
    teacher.load_state_dict(torch.load(weights))
    batches = [(draw(data, random)[:, :-1], MASK) for _ in range(4)]
    rows = {"float": judge(teacher, teacher, held)}
    for rounding in ("nearest", "gptq"):
        found = quantize_weights(
            teacher,
            INTERFACE,
            CHOICE,
            lambda: batches,
            rounding=rounding,  # type: ignore[arg-type]
        )
        rows[rounding] = judge(found.model, teacher, held)
        print(rounding, rows[rounding], flush=True)
    model = copy.deepcopy(found.model)
    learn(model, teacher, data, seed)
    rows["qad"] = judge(model, teacher, held)
    torch.save(insertion.bake_weights(model).state_dict(), Path(work) / f"qad{seed}.pt")
    loss = {
        name: row["bits_per_byte"] - rows["float"]["bits_per_byte"] for name, row in rows.items()
    }
    recovered = {f"of_{name}": 1 - loss["qad"] / loss[name] for name in ("nearest", "gptq")}
    result = {"seed": seed, "steps": STEPS, "rate": RATE, "rows": rows, "recovered": recovered}
    (Path(work) / f"result-{seed}.json").write_text(json.dumps(result, indent=1, default=float))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
