"""What two ranks hold while they train a transformer, whole or shared out, and how far its losses are apart.

    python benchmarks/ranks/sharded_training.py --output benchmarks/ranks/sharded_training.json

10 million parameters, AdamW, 20 steps of one batch of 8 images, no checkpoint between. Memory is the most that a rank
held of its own over what it held before the training, beside the network that it began with.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from measure import make_samples
from sharded import Watched

from edgekd.interface import image_classifier
from edgekd.learn import blueprint
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.parallel import ranks
from edgekd.learn.parallel.blocks import count_values
from edgekd.learn.schemes.labels_only import learn_from_labels
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Term
from edgekd.learn.settings import Training
from edgekd.learn.training.fit import fit
from edgekd.learn.training.run import TrainingRun
from edgekd.named_member import NamedMember
from edgekd.progress import Silent

STEPS, BATCH, SIDE = 20, 8, 32
SHAPE = image_classifier(classes=10, channels=3, height=SIDE, width=SIDE)
PLAN = Blueprint(
    builder="vit-tiny", arguments={"dim": 320, "depth": 8, "heads": 5}, interface=SHAPE
)


def train(folder: Path, sharded: bool) -> None:
    """As one of the ranks: train; an epoch is a step, so the history has its loss."""
    torch.set_num_threads(1)
    ranks.count()
    torch.manual_seed(0)
    network = blueprint.build(PLAN)
    way = "sharded" if sharded else "whole"
    term = Term(loss=NamedMember.parse("cross-entropy", LOSSES, "loss"), weight=1.0)
    run = TrainingRun(
        model=network,
        samples=make_samples(SIDE, BATCH),
        terms=bind_terms([term]),
        scheme=learn_from_labels(),
        training=Training(
            epochs=STEPS,
            batch_size=BATCH,
            optimizer="adamw",
            learning_rate=3e-4,
            checkpoint_every_s=1e6,
            sharded=sharded,
        ),
        resolved=Arithmetic(precision="fp32", channels_last=False, threads=1),
        seed=0,
        checkpoints=folder / way,
        progress=Silent(),
        score=None,
    )
    watched = Watched()
    history = fit(run)
    found = {
        "parameters_bytes": 4 * count_values(network),
        "most_more_bytes": watched.close(),
        "losses": [row["cross-entropy"] for row in history],
    }
    (folder / f"{way}-{ranks.rank()}.json").write_text(json.dumps(found))


def measure() -> dict[str, Any]:
    """Launch two ranks for each way."""
    found: dict[str, Any] = {}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    with tempfile.TemporaryDirectory() as place:
        for way in ("whole", "sharded"):
            command = [sys.executable, *launcher, __file__, "--train", way, "--folder", place]
            settings = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
            subprocess.run(command, env=settings, check=True)
            paths = [Path(place) / f"{way}-{number}.json" for number in (0, 1)]
            found[way] = [json.loads(path.read_text()) for path in paths]
    pairs = zip(found["whole"][0]["losses"], found["sharded"][0]["losses"], strict=True)
    return {**found, "largest_difference_of_losses": max(abs(a - b) for a, b in pairs)}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--train", choices=("whole", "sharded"))
    parser.add_argument("--folder", type=Path)
    words = parser.parse_args()
    if words.train:
        train(words.folder, words.train == "sharded")
        return
    command = " ".join(["python", "benchmarks/ranks/sharded_training.py", *sys.argv[1:]])
    text = json.dumps({"command": command, **measure()}, indent=1)
    if words.output:
        words.output.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
