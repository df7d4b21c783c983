"""What learned step sizes add to learned weights, at 8, 4 and 3 bits, under SGD and AdamW: three seeds and a control.

    python benchmarks/qad/steps.py --out FOLDER --output benchmarks/qad/steps.json [--seeds 0 1 2]

A float ResNet-8 learns half of scikit-learn's digits, a seed a student. It is calibrated, then taught by its float self for
ten epochs with its steps learned and, as control, with its steps fixed: same start, same order, same rate. What lies in
FOLDER is taken as it is: a run that was stopped goes on, and seeds can be run one by one. Test accuracy is that of the
fake-quantized model on the other half of the images; intervals are Student's over
seeds. One thread, ten minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import spread

from edgekd.learn import blueprint
from edgekd.learn.evaluation import read_split
from edgekd.learn.quant import insertion
from edgekd.learn.settings import Training
from edgekd.learn.view_settings import Views
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import data
from edgekd.stages import quantize
from edgekd.stages import train

VIEWS = Views(count=4, crop=1)
FLOAT = Training(epochs=20, learning_rate=0.1, batch_size=32, threads=1, precision="fp32")
BITS = (8, 4, 3)
OPTIMIZERS = {
    "AdamW": {"optimizer": "adamw", "learning_rate": 3e-4},
    "SGD": {"optimizer": "sgd", "learning_rate": 0.01},
}
CALIBRATED, LEARNED, CONTROL = "calibrated", "steps learned", "steps fixed"


class Student:
    """One seed's float student and what is made of it."""

    def __init__(self, asked: argparse.Namespace, seed: int) -> None:
        self.seed, self.folder = seed, asked.out / f"seed-{seed}"

    def context(self, name: str) -> Context:
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        paths = {"folder": folder, "checkpoints": folder / "checkpoints"}
        return Context(**paths, seed=self.seed, progress=Silent())

    def given(self) -> dict[str, Path]:
        """The data, and the float student if there is one."""
        context = self.context("data")
        if not (context.folder / "data.json").exists():
            about = {"source": "digits", "validation": 0.1, "test": 0.5}
            data.run(data.DataConfig.model_validate(about), {}, context)
        resolved = context.folder / "resolved.json"
        resolved.write_text('{"precision":"fp32","channels_last":false,"threads":1}')
        start = self.folder / "float"
        return {
            **{name: context.folder / name for name in ("train", "validation", "test")},
            "data": context.folder / "data.json",
            "resolved": resolved,
            "start_blueprint": start / "blueprint.json",
            "start_weights": start / "weights.safetensors",
        }

    def trained(self) -> Path:
        context = self.context("float")
        if not (context.folder / "weights.safetensors").exists():
            views = {"views": VIEWS, "views_seed": self.seed}
            about = {"model": "resnet8", "losses": (), "train": FLOAT, **views}
            train.run(train.TrainConfig.model_validate(about), self.given(), context)
        return context.folder

    def quantized(self, bits: int, how: str, optimizer: str) -> Path:
        context = self.context(f"{bits} bits, {how}, {optimizer}".removesuffix(", "))
        if not (context.folder / "sensitivity.json").exists():
            print(f"seed {self.seed}: {context.folder.name}", file=sys.stderr, flush=True)
            learning = {"epochs": 10, "batch_size": 32, **OPTIMIZERS.get(optimizer, {})}
            about = {
                "scheme": "asymmetric",
                "weight_bits": bits,
                "learn_steps": how != CONTROL,
                "teachers": ("student",),
                "train": None if how == CALIBRATED else learning,
                "views": VIEWS,
                "views_seed": self.seed,
            }
            quantize.run(quantize.QuantizeConfig.model_validate(about), self.given(), context)
        return context.folder

    def accuracy(self, folder: Path) -> float:
        model = blueprint.load(folder / "blueprint.json", folder / "weights.safetensors")
        return read_split(self.given(), "test").score(model)

    def moved(self, calibrated: Path, learned: Path) -> dict[str, float]:
        """Median |log(s after / s before)| of the steps of weights and of activations."""
        found: dict[str, list[float]] = {"weights": [], "activations": []}
        for before, after in zip(*(self.steps(f) for f in (calibrated, learned)), strict=True):
            found[before[0]] += (after[1] - before[1]).abs().flatten().tolist()
        return {kind: float(np.median(moves)) for kind, moves in found.items()}

    def steps(self, folder: Path) -> list[tuple[str, torch.Tensor]]:
        model = blueprint.load(folder / "blueprint.json", folder / "weights.safetensors")
        sites = [one for one in insertion.find_activation_quantizers(model).values() if one.learns]
        weights = insertion.find_weight_quantizers(model).values()
        return [("activations", one.log_step.detach()) for one in sites] + [
            ("weights", one.log_step.detach()) for one in weights
        ]

    def row(self) -> dict[str, Any]:
        """Test accuracies, and how far steps moved."""
        row: dict[str, Any] = {"float": self.accuracy(self.trained()), "moved": {}}
        for bits in BITS:
            start = self.quantized(bits, CALIBRATED, "")
            row[f"{bits} bits, {CALIBRATED}"] = self.accuracy(start)
            for optimizer, how in product(OPTIMIZERS, (LEARNED, CONTROL)):
                name = f"{bits} bits, {how}, {optimizer}"
                folder = self.quantized(bits, how, optimizer)
                row[name] = self.accuracy(folder)
                if how == LEARNED:
                    row["moved"][name] = self.moved(start, folder)
        return row


def differences(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Each row against its control and against calibration alone, in points over seeds."""
    found = {}
    for bits, optimizer in product(BITS, OPTIMIZERS):
        learned, control = (f"{bits} bits, {how}, {optimizer}" for how in (LEARNED, CONTROL))
        for name, base in (
            (learned, control),
            (learned, f"{bits} bits, {CALIBRATED}"),
            (control, f"{bits} bits, {CALIBRATED}"),
            (learned, "float"),
        ):
            found[f"{name} - {base}"] = spread([row[name] - row[base] for row in rows])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = {seed: Student(asked, seed).row() for seed in asked.seeds}
    result = {
        "command": "python benchmarks/qad/steps.py --out FOLDER --output RESULT",
        "test_accuracy": rows,
        "differences": differences(list(rows.values())),
    }
    asked.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["differences"], indent=1))


if __name__ == "__main__":
    main()
