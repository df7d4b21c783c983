"""Whether `edgekd.distil` trains tiny networks of anybody's with what it does where a call says nothing.

Four students learn from one multilayer perceptron on scikit-learn's 1,797 digits, in pixels of 0 to 1 and of 0 to 16 as they
are, with and without gradients that are clipped; accuracy on 397 held-out digits, each seed.

    python benchmarks/distil_defaults/measure.py --store benchmarks/distil_defaults/result.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn

import edgekd
from edgekd.learn.training.fit import TrainingDiverged

EPOCHS, BATCH, TRAINING = 10, 64, 1400
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "perceptron of 32": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)
    ),
    "perceptron of seven layers": lambda: nn.Sequential(
        nn.Flatten(),
        *(layer for _ in range(6) for layer in (nn.Linear(64, 64), nn.ReLU())),
        nn.Linear(64, 10),
    ),
    "two convolutions, no norm": lambda: nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    ),
    "a convolution and batch norm": lambda: nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 10),
    ),
}
BEFORE: dict[str, dict[str, Any]] = {
    "sgd": {"clip_norm": None},
    "adamw": {"clip_norm": None, "optimizer": "adamw", "learning_rate": 0.1},
}
NOW: dict[str, dict[str, Any]] = {"sgd": {}, "adamw": {"optimizer": "adamw"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [
        {"network": network, "largest_input": scale, "optimizer": optimizer, **scores}
        for network in NETWORKS
        for scale in (1, 16)
        for optimizer in NOW
        for scores in [compare(network, scale, optimizer, options.seeds)]
    ]
    for row in rows:
        print(*row.values())
    if options.store is not None:
        command = f"python benchmarks/distil_defaults/measure.py --seeds {options.seeds}"
        text = json.dumps({"command": command, "accuracy_percent": rows}, indent=1)
        options.store.write_text(f"{text}\n")


def compare(network: str, scale: int, optimizer: str, seeds: int) -> dict[str, list[float | None]]:
    """Accuracies with the defaults of before and with those of now, percent, one a seed; None diverged."""
    return {
        name: [score(network, scale, settings[optimizer], seed) for seed in range(seeds)]
        for name, settings in (("before", BEFORE), ("now", NOW))
    }


def score(network: str, scale: int, settings: dict[str, Any], seed: int) -> float | None:
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / (16 / scale)
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    learned, held_out = order[:TRAINING], order[TRAINING:]
    torch.manual_seed(seed)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    student = NETWORKS[network]()
    optimizer = torch.optim.Adam(teacher.parameters(), 1e-3)
    for _ in range(15):
        for part in learned[torch.randperm(TRAINING)].split(BATCH):
            loss = nn.functional.cross_entropy(teacher(images[part]), labels[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    batches = [(images[part], labels[part]) for part in learned.split(BATCH)]
    try:
        edgekd.distil(student, teacher, batches, epochs=EPOCHS, seed=seed, quiet=True, **settings)
    except TrainingDiverged:
        return None
    with torch.no_grad():
        right = student(images[held_out]).argmax(1) == labels[held_out]
    return round(100 * float(right.float().mean()), 1)


if __name__ == "__main__":
    main()
