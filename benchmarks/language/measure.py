"""What a small decoder gains by its teacher's answers on data, on its own samples and on its teacher's texts.

A decoder over bytes (two layers, 64 wide) teaches one of a layer, 32 wide, on the package descriptions of
examples/package-sections. Every student learns four epochs, then two more as the row says; all with the same batches and
rates. ``data-free`` students learn six epochs from texts that the teacher wrote from its begin token alone. Measured on the
test split: bits per byte; KL of both ways round at the text's own places; and on what the student says after 8 bytes
of a test block of 32, drawn at temperature 1: the teacher's bits per byte of it, and the reverse KL at the places that it visits.

    python benchmarks/language/measure.py --store benchmarks/language/result.json

Rows that are stored are not measured again; with ``--work FOLDER`` a run that was ended goes on with the models there, and
says no CPU-seconds of one that was gone on with.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import statistics
import tempfile
import time
from collections.abc import Collection
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import nn

from edgekd import dataset
from edgekd import splits
from edgekd.learn import blueprint
from edgekd.learn.generation import Draws
from edgekd.learn.generation import begin_answer
from edgekd.learn.generation import continue_texts
from edgekd.learn.settings import Arithmetic
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import data
from edgekd.stages import distil
from edgekd.stages import synthesize
from edgekd.stages import train

TEXTS = Path(__file__).parents[2] / "examples" / "package-sections" / "packages.jsonl.gz"
COMMAND = "python benchmarks/language/measure.py --store benchmarks/language/result.json"
PROMPT, LONGEST, SEEDS = 8, 32, (0, 1, 2)
SOURCE = {"name": "text-corpus", "reference": str(TEXTS), "text": "text", "longest": LONGEST}
TEACHER = {"name": "text-decoder", "layers": 2, "width": 64, "heads": 4}
STUDENT = {"name": "text-decoder", "layers": 1, "width": 32, "heads": 2}
WORDS: dict[str, Any] = {
    "batch_size": 64,
    "optimizer": "adamw",
    "schedule": "cosine",
    "precision": "fp32",
    "channels_last": False,
    "threads": 1,
}
FIRST = {**WORDS, "epochs": 4, "learning_rate": 0.005}
SECOND = {**WORDS, "epochs": 2, "learning_rate": 0.002}
ON_POLICY = {"name": "on-policy", "prompt_tokens": PROMPT}
BOTH = ({"name": "forward-kl", "weight": 0.5}, {"name": "cross-entropy", "weight": 0.5})
ROWS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "control": ("labels", "cross-entropy", {}),
    "off-policy, forward KL": ("forward-kl", "forward-kl", {}),
    "off-policy, forward KL and labels": ("both", BOTH, {}),
    "off-policy, reverse KL": ("forward-kl", "reverse-kl", {}),
    "off-policy, Jensen-Shannon": ("forward-kl", "jsd", {}),
    "on-policy, Jensen-Shannon, half": (
        "forward-kl",
        "jsd",
        {"scheme": {**ON_POLICY, "share": 0.5}},
    ),
    "on-policy, reverse KL": ("forward-kl", "reverse-kl", {"scheme": ON_POLICY}),
    "on-policy, reverse KL, a fifth of the teacher": (
        "forward-kl",
        "reverse-kl",
        {"scheme": {**ON_POLICY, "teacher_mix": 0.2}},
    ),
    "the teacher's continuations": ("forward-kl", "cross-entropy", {"texts": "prompted"}),
    "data-free, forward KL": ("data-free", "forward-kl", {"texts": "begin"}),
}
"""What is learned first, the loss of the two epochs after it, and how."""


class Bench:
    """The files of one run, and the stages that make them, each once."""

    def __init__(self, folder: Path, config: data.DataConfig) -> None:
        self.folder = folder
        self.seconds: float | None = None
        folder.mkdir(parents=True, exist_ok=True)
        resolved = Arithmetic(precision="fp32", channels_last=False, threads=1)
        self.resolved = folder / "resolved.json"
        self.resolved.write_text(resolved.model_dump_json())
        made = self.run(data, config, {}, 0)
        self.data = {"data": made["data.json"], **{n: made[n] for n in ("train", "validation")}}
        self.test = made["test"]
        self.dataset = dataset.read(made["data.json"])

    def run(self, stage: Any, config: Any, given: dict[str, Path], seed: int) -> dict[str, Path]:
        told = f"{stage.__name__} {config!r} {sorted(map(str, given.values()))} {seed}"
        place = self.folder / hashlib.sha256(told.encode()).hexdigest()[:16]
        names = place / "made.json"
        if not names.exists():
            is_new = not place.exists()
            place.mkdir(exist_ok=True)  # checkpoints in it are gone on from
            context = Context(
                folder=place, checkpoints=place / "checkpoints", seed=seed, progress=Silent()
            )
            began = time.process_time()
            made = stage.run(config, given, context)
            self.seconds = round(time.process_time() - began, 1) if is_new else None
            names.write_text(json.dumps({name: path.name for name, path in made.items()}))
        return {name: place / file for name, file in json.loads(names.read_text()).items()}

    def train(self, model: dict[str, Any], words: dict[str, Any], seed: int) -> dict[str, Path]:
        config = train.TrainConfig(
            model=model, losses=["cross-entropy"], train=words, views={"count": 1}, views_seed=0
        )
        return self.run(train, config, {**self.data, "resolved": self.resolved}, seed)

    def distil(
        self,
        losses: list[Any],
        words: dict[str, Any],
        teacher: dict[str, Path],
        seed: int,
        start: dict[str, Path] | None = None,
        texts: Path | None = None,
        scheme: Any = "offline",
        model: dict[str, Any] = STUDENT,
    ) -> dict[str, Path]:
        config = distil.DistilConfig(
            model=model,
            losses=losses,
            knowledge="online",
            train=words,
            views={"count": 1},
            views_seed=seed,
            scheme=scheme,
        )
        given = {**self.data, "resolved": self.resolved}
        given |= {
            "teacher_blueprint": teacher["blueprint.json"],
            "teacher_weights": teacher["weights.safetensors"],
        }
        if start is not None:
            given["start_weights"] = start["weights.safetensors"]
        if texts is not None:
            given["train"] = texts
        return self.run(distil, config, given, seed)

    def write(
        self, method: dict[str, Any], teacher: dict[str, Path], count: int, seed: int
    ) -> Path:
        config = synthesize.SynthesizeConfig(method=method, count=count)
        given = {
            "data": self.data["data"],
            "train": self.data["train"],
            "resolved": self.resolved,
            "blueprint": teacher["blueprint.json"],
            "weights": teacher["weights.safetensors"],
        }
        if method["name"] == "begin-token-texts":
            del given["train"]
        return self.run(synthesize, config, given, seed)["train"]


def load(made: dict[str, Path]) -> nn.Module:
    model = blueprint.load(made["blueprint.json"], made["weights.safetensors"])
    return model.eval().requires_grad_(False)


@torch.no_grad()
def judge(student: nn.Module, teacher: nn.Module, bench: Bench) -> dict[str, float]:
    """Figures on the whole test split; what the student says is drawn by the same numbers for all."""
    rows = splits.read(bench.test)
    inputs = bench.dataset.prepare_inputs(rows)
    tokens, mask = (torch.from_numpy(each) for each in inputs.values())
    following = torch.from_numpy(bench.dataset.prepare_targets(rows)["next_tokens"])
    prompts = torch.full_like(tokens[:, 0], PROMPT)
    draws = Draws(123, np.arange(len(tokens)), 0)
    said, after, _ = continue_texts(begin_answer(student), tokens, mask, prompts, draws)
    ours, theirs = predict(student, tokens, mask), predict(teacher, tokens, mask)
    nats = -ours.gather(2, following[:, :, None]).mean()
    found = {
        "bits_per_byte": float(nats) / math.log(2),
        "forward_kl": float((theirs.exp() * (theirs - ours)).sum(2).mean()),
        "reverse_kl": float((ours.exp() * (ours - theirs)).sum(2).mean()),
    }
    ours, theirs = (predict(each, said, mask)[:, PROMPT - 1 :] for each in (student, teacher))
    spoken = after[:, PROMPT - 1 :, None]
    return {
        **found,
        "teacher_bits_of_samples": -float(theirs.gather(2, spoken).mean()) / math.log(2),
        "student_bits_of_samples": -float(ours.gather(2, spoken).mean()) / math.log(2),
        "reverse_kl_on_samples": float((ours.exp() * (ours - theirs)).sum(2).mean()),
        "forward_kl_on_samples": float((theirs.exp() * (theirs - ours)).sum(2).mean()),
    }


def predict(model: nn.Module, tokens: Tensor, mask: Tensor) -> Tensor:
    parts = zip(tokens.split(256), mask.split(256), strict=True)
    return torch.cat([torch.log_softmax(model(*part), 2) for part in parts])


def compare(rows: list[dict[str, Any]], name: str, other: str, figure: str) -> dict[str, Any]:
    """Mean difference over the seeds, and its 95 % interval (Student's t, two degrees of freedom)."""
    by = {(row["row"], row["seed"]): row[figure] for row in rows}
    apart = [by[name, seed] - by[other, seed] for seed in SEEDS]
    mean, half = statistics.mean(apart), 4.303 * statistics.stdev(apart) / math.sqrt(len(apart))
    return {
        "row": name,
        "beside": other,
        "figure": figure,
        "mean": mean,
        "ci95": [mean - half, mean + half],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--work", type=Path)
    torch.set_num_threads(1)
    said = parser.parse_args()
    rows = json.loads(said.store.read_text())["rows"] if said.store.exists() else []
    config = data.DataConfig(source=SOURCE, task="language-modelling")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(said.work or Path(folder), config)
        for row in measure(bench, {(row["row"], row["seed"]) for row in rows}):
            print(json.dumps(row), flush=True)
            rows.append(row)
            write(said.store, rows, [])
    told = summarize(rows)
    write(said.store, rows, told)
    for each in told:
        print(json.dumps(each))


def write(path: Path, rows: list[dict[str, Any]], differences: list[dict[str, Any]]) -> None:
    """The rows, what they differ by, and the command that makes them."""
    found = {"command": COMMAND, "rows": rows, "differences": differences}
    path.write_text(json.dumps(found, indent=1) + "\n")


BESIDE = {
    "on-policy, Jensen-Shannon, half": "off-policy, Jensen-Shannon",
    "on-policy, reverse KL": "off-policy, reverse KL",
    "on-policy, reverse KL, a fifth of the teacher": "off-policy, reverse KL",
}
"""The row of the same loss on the data."""


def summarize(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    figures = ("bits_per_byte", "reverse_kl_on_samples", "teacher_bits_of_samples")
    told = [compare(rows, *each, figure) for each in BESIDE.items() for figure in figures]
    others = [name for name in ROWS if name != "control"]
    return told + [
        compare(rows, name, "control", each)
        for name in others
        for each in ("bits_per_byte", "reverse_kl_on_samples")
    ]


def measure(bench: Bench, done: Collection[tuple[str, int]]) -> Iterator[dict[str, Any]]:
    teacher_files = bench.train(TEACHER, {**FIRST, "epochs": 6, "learning_rate": 0.004}, 0)
    teacher = load(teacher_files)
    if ("teacher", 0) not in done:
        yield {"row": "teacher", "seed": 0, "cpu_seconds": None, **judge(teacher, teacher, bench)}
    count = bench.dataset.counts["train"]
    for seed in SEEDS:
        texts = {
            "prompted": bench.write(
                {"name": "prompted-texts", "prompt_tokens": PROMPT, "temperature": 1.0},
                teacher_files,
                count,
                seed,
            ),
            "begin": bench.write({"name": "begin-token-texts"}, teacher_files, count, seed),
        }
        first = {
            "forward-kl": bench.distil(["forward-kl"], FIRST, teacher_files, seed),
            "both": bench.distil(list(BOTH), FIRST, teacher_files, seed),
            "labels": bench.distil(["cross-entropy"], FIRST, teacher_files, seed),
            "data-free": bench.distil(
                ["forward-kl"], FIRST, teacher_files, seed, texts=texts["begin"]
            ),
        }
        for name, (start, loss, words) in ROWS.items():
            if (name, seed) in done:
                continue
            words = {**words, "texts": texts.get(words.get("texts", ""))}
            losses = list(loss) if isinstance(loss, tuple) else [loss]
            made = bench.distil(losses, SECOND, teacher_files, seed, first[start], **words)
            told = {"row": name, "seed": seed, "cpu_seconds": bench.seconds}
            yield {**told, **judge(load(made), teacher, bench)}


if __name__ == "__main__":
    main()
