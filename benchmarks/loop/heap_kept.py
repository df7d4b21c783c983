"""A training's time, page faults and peak of memory, with the heap kept (`edgekd/learn/heap.py`) and without.

    python benchmarks/loop/heap_kept.py --output benchmarks/loop/heap_kept.json

ResNet-8 with the teacher of twice its width at each step, one thread, six steps with set-up; processor time. Each
training has a process of its own, both ways take turns.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import measure
import numpy as np
import torch
from torch import nn

from edgekd.dataset import Dataset
from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.interface import image_classifier
from edgekd.learn import blueprint
from edgekd.learn import heap
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.data.loader import Samples
from edgekd.learn.settings import Arithmetic
from edgekd.learn.view_settings import Views
from edgekd.tasks import DEFAULT_TASK

STEPS = 6
CASES = {
    "28 pixels, width 16, bf16, batch 128": (28, 16, "bf16", 128),
    "96 pixels, width 16, fp32, batch 32": (96, 16, "fp32", 32),
    "160 pixels, width 32, bf16, batch 8": (160, 32, "bf16", 8),
}


def make_samples(side: int, count: int) -> Samples:
    random = np.random.default_rng(0)
    pixels = Image(height=side, width=side, channels=3, mean=(0.3,) * 3, std=(0.3,) * 3)
    names = Label(names=tuple("0123456789"))
    return Samples(
        dataset=Dataset(task=DEFAULT_TASK, inputs={"images": pixels}, targets={"labels": names}),
        rows={
            "images": random.integers(0, 256, (count, side, side, 3), dtype=np.uint8),
            "labels": random.integers(0, 10, count),
        },
        views=Views(count=1, flip=True, crop=2),
        seed=0,
    )


def train(case: str, *, kept: bool) -> dict[str, float]:
    """Milliseconds and page faults of a step, and the process's peak of memory."""
    side, base, precision, batch = CASES[case]
    if not kept:
        heap.keep_freed_memory = contextlib.nullcontext  # type: ignore[assignment]

    def network(width: int) -> nn.Module:
        torch.manual_seed(width)
        ends = image_classifier(classes=10, channels=3, height=side, width=side)
        arguments = {"base": width * base // 16}
        return blueprint.build(Blueprint(builder="resnet8", arguments=arguments, interface=ends))

    measure.network = network
    resolved = Arithmetic(precision=precision, channels_last=precision == "bf16", threads=1)
    rates = measure.edgekd_loop(make_samples(side, STEPS * batch), resolved, None, batch)
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in status if line.startswith("VmHWM"))
    return {
        "step_ms": batch * 1e3 / rates["processor"],
        "page_faults_a_step": rates["page_faults_a_step"],
        "peak_mib": int(peak.split()[1]) / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    report: dict[str, object] = {"command": "python " + " ".join(sys.argv)}
    for case in CASES:
        runs: dict[str, list[dict[str, float]]] = {"kept": [], "not kept": []}
        for _ in range(options.repeats):
            for name, done in runs.items():
                with ProcessPoolExecutor(1, context) as pool:
                    done.append(pool.submit(train, case, kept=name == "kept").result())
        pairs = zip(runs["not kept"], runs["kept"], strict=True)
        report[case] = {
            "faster": sorted(a["step_ms"] / b["step_ms"] for a, b in pairs),
            **{
                name: {key: statistics.median(each[key] for each in done) for key in done[0]}
                for name, done in runs.items()
            },
        }
        report["load"] = os.getloadavg()
        print(case, json.dumps(report[case]), flush=True)
        if options.output:
            options.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
