"""What stored answers cost and lose: bytes, divergence, read rate; an epoch with them; fills that are killed.

    python benchmarks/knowledge/measure.py encodings LOGITS.npy ... --output benchmarks/knowledge/encodings.json
    python benchmarks/knowledge/measure.py epoch --output benchmarks/knowledge/epoch.json
    python benchmarks/knowledge/measure.py kills --output benchmarks/knowledge/kills.json

LOGITS.npy: float32 [samples, classes] of a real network; `make_logits.py` makes those of an ImageNet network on photographs.
`encodings`: every encoding of every file. Divergence is KL(given || read back) of the softmax in nats: over all classes,
and over the stored classes and one for the rest, which is what the loss of a top-k teacher compares. Rates are of batches of
256 in random order from one memory map of 200,000 rows that the page cache holds, on one thread: rows as they are stored,
and logits of all classes.
`epoch`: processor seconds of an epoch on one thread through the training loop, cross-entropy and kd from the store against cross-entropy alone, in
turns. `kills`: a process that fills a store is killed (SIGKILL) at random moments until it ends, its bytes compared.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.learn.knowledge import filling
from edgekd.learn.knowledge.fidelity import compute_divergence
from edgekd.learn.knowledge.filling import Questions
from edgekd.learn.knowledge.layout import StoreLayout
from edgekd.learn.knowledge.reading import KnowledgeReader
from edgekd.learn.knowledge.rows import RowCode
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.progress import Silent

ROWS, BATCH = 200_000, 256


def variants(classes: int) -> Iterator[KnowledgeSettings]:
    for encoding in ("fp32", "fp16", "bf16", "int8"):
        yield KnowledgeSettings(encoding=encoding)
    for top_k in (16, 64, 256):
        for temperature in (1.0, 4.0):
            if top_k < classes:
                yield KnowledgeSettings(encoding="int8", top_k=top_k, temperature=temperature)
    if classes > 48:
        yield KnowledgeSettings(encoding="fp16", top_k=48)


def measure_encoding(logits: np.ndarray, settings: KnowledgeSettings) -> dict[str, Any]:
    code = RowCode(settings, (logits.shape[1:],))
    start = time.perf_counter()
    rows = code.encode((logits,))
    encode_s = (time.perf_counter() - start) / len(logits)
    (found,) = code.decode(rows)
    report: dict[str, Any] = {
        **settings.model_dump(mode="json"),
        "row_bytes": rows.shape[1],
        "encode_us": round(encode_s * 1e6, 2),
        "largest_difference": float(np.abs(found - logits).max()),
        "kl_nats": {
            f"T={temperature:g}": summary(compute_divergence(logits, found, temperature))
            for temperature in (1.0, 4.0)
        },
    }
    if code.classes:
        report |= measure_cut(logits, found, settings)
    return report | measure_rates(code, rows)


def measure_cut(
    logits: np.ndarray, found: np.ndarray, settings: KnowledgeSettings
) -> dict[str, Any]:
    """The mass that is not stored class by class, and the divergence of what is stored, by other arithmetic."""
    order = np.argsort(-logits, 1, kind="stable")
    lumped = []
    for each in (logits, found):
        wide = each.astype(np.float64) / settings.temperature
        p = np.exp(wide - wide.max(1, keepdims=True))
        p = np.take_along_axis(p / p.sum(1, keepdims=True), order, 1)
        top = p[:, : settings.top_k]
        lumped.append(np.concatenate([top, p[:, settings.top_k :].sum(1, keepdims=True)], 1))
    given, stored = lumped
    return {
        "missing_mass": summary(given[:, -1]),
        "kl_of_top_k_and_rest_nats": summary((given * np.log(given / stored)).sum(1)),
    }


def measure_rates(code: RowCode, rows: np.ndarray) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shard-00000.rows"
        np.tile(rows, (-(-ROWS // len(rows)), 1))[:ROWS].tofile(path)
        reader = KnowledgeReader(StoreLayout(code, 1, ROWS, ROWS), [path])
        order = np.random.default_rng(0).permutation(ROWS)
        rates = {}
        for name, read in (("rows", reader.read_rows), ("logits", reader.read)):
            turns = []
            for _ in range(4):  # the first one fills the page cache
                start = time.perf_counter()
                for at in range(0, ROWS - BATCH + 1, BATCH):
                    read(0, order[at : at + BATCH])
                turns.append(ROWS // BATCH * BATCH / (time.perf_counter() - start))
            rates[f"{name}_per_s"] = round(statistics.median(turns[1:]))
        return rates


def summary(values: np.ndarray) -> dict[str, float]:
    points = {"mean": values.mean(), "median": np.median(values), "p99": np.quantile(values, 0.99)}
    return {name: float(f"{value:.4g}") for name, value in points.items()}


def measure_encodings(options: argparse.Namespace) -> dict[str, Any]:
    report = {}
    for path in options.logits:
        logits = np.load(path, allow_pickle=False).astype(np.float32)
        wide = np.exp(logits - logits.max(1, keepdims=True))
        confident = logits[(wide.max(1) / wide.sum(1)) > 0.9]
        report[path.name] = {
            "samples": len(logits),
            "classes": logits.shape[1],
            "sure_samples": len(confident),
            "encodings": [measure_encoding(logits, each) for each in variants(logits.shape[1])],
            "encodings_of_samples_that_are_sure": [
                {
                    key: value
                    for key, value in measure_encoding(confident, each).items()
                    if not key.endswith("_per_s")
                }
                for each in variants(logits.shape[1])
                if each.top_k
            ],
        }
    return report


def measure_epoch(options: argparse.Namespace) -> dict[str, Any]:
    from epoch import measure_turn

    report = {}
    for classes, side, channels in ((10, 28, 1), (1000, 32, 3)):
        ratios, seconds = [], []
        for turn in range(options.repeats + 1):
            pair = measure_turn(classes, side, channels, options.samples, turn)
            if turn:
                seconds.append(pair)
                ratios.append(pair["kd"] / pair["plain"])
        report[f"{classes} classes, {side}x{side}x{channels}"] = {
            "kd / plain": {
                "median": statistics.median(ratios),
                "min": min(ratios),
                "max": max(ratios),
            },
            "seconds": seconds,
        }
    return report


def fill(folder: Path) -> None:
    """Fill a small store slowly: 3 views of 3,000 samples, 12 shards."""
    from edgekd.learn.knowledge import layout

    layout.SHARD_BYTES, filling.SAVE_EVERY_S = 1000 * 20, 0.02

    def ask(view: int, batches: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, ...]]:
        for indices in batches:
            time.sleep(0.004)
            draws = [np.random.default_rng([view, int(i)]).normal(0, 3, 10) for i in indices]
            yield (np.stack(draws).astype(np.float32),)

    settings = KnowledgeSettings(encoding="fp16")
    filling.fill_store(Questions(ask, 3, 3000, 32), settings, {}, folder, Silent())


def measure_kills(options: argparse.Namespace) -> dict[str, Any]:
    random.seed(0)
    command = [sys.executable, __file__, "fill"]
    with tempfile.TemporaryDirectory() as root:
        want_folder = Path(root) / "whole"
        want_folder.mkdir()
        start = time.monotonic()
        subprocess.run([*command, str(want_folder)], check=True)
        whole_s = time.monotonic() - start
        want = {path.name: path.read_bytes() for path in want_folder.iterdir()}
        kills, stores, same = 0, 0, 0
        while kills < options.kills:
            folder = Path(root) / f"killed-{stores}"
            folder.mkdir()
            stores += 1
            while True:
                process = subprocess.Popen([*command, str(folder)])
                try:
                    process.wait(random.uniform(0.4, 0.7) * whole_s)
                    break
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    kills += 1
            found = {path.name: path.read_bytes() for path in folder.iterdir()}
            same += process.returncode == 0 and found == want
    return {"kills": kills, "stores": stores, "same_bytes": same}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    encodings, epoch = verbs.add_parser("encodings"), verbs.add_parser("epoch")
    kills, one = verbs.add_parser("kills"), verbs.add_parser("fill")
    encodings.add_argument("logits", type=Path, nargs="+")
    epoch.add_argument("--repeats", type=int, default=5)
    epoch.add_argument("--samples", type=int, default=6400)
    kills.add_argument("--kills", type=int, default=30)
    one.add_argument("folder", type=Path)
    for each in (encodings, epoch, kills):
        each.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.verb == "fill":
        fill(options.folder)
        return
    measure = {"encodings": measure_encodings, "epoch": measure_epoch, "kills": measure_kills}
    report = {"command": "python " + " ".join(sys.argv), **measure[options.verb](options)}
    text = json.dumps(report, indent=1)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
