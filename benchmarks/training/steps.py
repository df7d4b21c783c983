"""Processor time of a step: edgekd from stored answers beside the usual online loop, for three pairs of networks.

    python benchmarks/training/steps.py --output benchmarks/training/steps.json

All see as many samples in an epoch and learn the same from them, so the ratio of steps is that of whole trainings to
the same score, but for chance (`score.py`). What is measured through `fit`, as a user has it, includes its set-up.
Random images and weights, 28x28, batch 128, one thread; the loops take turns, a ratio is the median over the turns.
Each loop has a process of its own, for what one does to the C library's heap must not help another.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pair
import score
import torch

from edgekd.learn import teacher_answers
from edgekd.learn.method import teacher as finished
from edgekd.learn.schemes.offline import offline
from edgekd.progress import Silent

STEPS = {"online": 4, "stored": 20}
"""Of a turn."""
PAIRS = {
    "ResNet-8 width 16, wrn-16-2": (("resnet8", {"base": 16}), ("wrn-16-2", {})),
    "ResNet-8 width 16, ResNet-8 width 64": (
        ("resnet8", {"base": 16}),
        ("resnet8", {"base": 64}),
    ),
    "ResNet-8 width 8, wrn-16-2": (("resnet8", {"base": 8}), ("wrn-16-2", {})),
}
USUAL = {"online, fp32, NCHW": False, "online, bf16, channels_last": True}
OURS, ANSWERS = "edgekd, stored", "answers of one view"
Network = tuple[str, dict[str, int]]


def online_s(networks: tuple[Network, Network], data: tuple[np.ndarray, ...], fast: bool) -> float:
    """Seconds of a step of the usual loop."""
    pair.STUDENT = networks[0]
    count = STEPS["online"] * pair.BATCH
    few = (data[0][:count], data[1][:count], data[2][:1], data[3][:1])
    curve = score.train_online(pair.build(networks[1], 0), few, 1, fast=fast)
    return curve[0][0] / STEPS["online"]


def stored_s(network: Network, data: tuple[np.ndarray, ...], stored: np.ndarray) -> float:
    """Seconds of a step of edgekd's loop, with its share of the set-up."""
    samples = pair.make_samples(*data[:2], views=1, seed=0)
    student, scheme = pair.build(network, 0), offline(finished.read_teacher(stored))
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        pair.train(student, samples, scheme, pair.KD, 1, 0, Path(folder), lambda model: 0.0)
        return (time.process_time() - start) / STEPS["stored"]


def answer_s(network: Network, data: tuple[np.ndarray, ...]) -> float:
    """Seconds in which a batch of one view is answered for the store."""
    count = 2 * pair.BATCH
    samples = pair.make_samples(data[0][:count], data[1][:count], views=1, seed=0)
    teacher = pair.build(network, 0).to(memory_format=torch.channels_last)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        teacher_answers.write_knowledge(
            teacher, samples, Path(folder) / "k.npy", pair.FAST, Silent()
        )
        return (time.process_time() - start) / 2


@functools.cache
def make_data() -> tuple[np.ndarray, ...]:
    random, count = np.random.default_rng(0), STEPS["stored"] * pair.BATCH
    images = random.integers(0, 256, (count, 28, 28, 1), dtype=np.uint8)
    return images, random.integers(0, 10, count), images[:2], np.zeros(2, np.int64)


def take_turn(name: str, networks: tuple[Network, Network]) -> float:
    """Seconds of a step of one loop, or of a batch of answers."""
    torch.set_num_threads(1)
    data = make_data()
    if name == OURS:
        stored = np.random.default_rng(1).normal(size=(1, len(data[0]), 10)).astype(np.float32)
        return stored_s(networks[0], data, stored)
    if name == ANSWERS:
        return answer_s(networks[1], data)
    return online_s(networks, data, USUAL[name])


def measure(
    networks: tuple[Network, Network], turns: int, pools: dict[str, ProcessPoolExecutor]
) -> dict[str, object]:
    took_s: dict[str, list[float]] = {name: [] for name in pools}
    for turn in range(turns + 1):
        for name, pool in pools.items():
            value = pool.submit(take_turn, name, networks).result()
            if turn:
                took_s[name].append(value)
    student, teacher = (pair.count_macs(each) for each in networks)
    return {
        "macs": {"student": student, "teacher": teacher, "ratio": teacher / student},
        "step_s": {name: statistics.median(values) for name, values in took_s.items()},
        "faster": {name: summary(took_s[name], took_s[OURS]) for name in USUAL},
    }


def summary(usual: list[float], ours: list[float]) -> dict[str, float]:
    ratios = [a / b for a, b in zip(usual, ours, strict=True)]
    return {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    report: dict[str, object] = {
        "command": "python " + " ".join(sys.argv),
        "clock": "processor, one thread",
    }
    with ExitStack() as stack:
        context = multiprocessing.get_context("spawn")
        pools = {
            name: stack.enter_context(ProcessPoolExecutor(1, context))
            for name in (OURS, ANSWERS, *USUAL)
        }
        for name, networks in PAIRS.items():
            report[name] = measure(networks, options.turns, pools)
            print(name, json.dumps(report[name]), flush=True)
            if options.output:
                options.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
