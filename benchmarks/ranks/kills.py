"""Runs of two ranks that are killed (-9) at random moments and started again: do they end in the same bytes?

    python benchmarks/ranks/kills.py --kills 30 --output benchmarks/ranks/kills.json

`edgekd knowledge build` on two ranks of torchrun: a teacher is trained, then answers. One of rank 0, rank 1 and the
launcher is killed after a time drawn evenly from the last four fifths of what a run takes (before that no rank has begun); then the same command is started at once, on the
same store, and killed again, `A_STORE` times; then it runs to its end. What the store holds has to be, byte for byte, what
a run that nobody disturbed made. With `--output` of a file that is there, its kills are added to.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgekd.store import Store

A_STORE = 3
"""Kills before a run is left alone."""
VICTIMS = ("rank 0", "rank 1", "launcher")
RECIPE = """
name: tiny
data: {source: digits, test: 0.5, validation: 0.2}
views: {count: 6, crop: 1, flip: false}
knowledge: {encoding: fp32}
teacher:
  model: {name: resnet8, base: 4}
  train: {epochs: 8, batch_size: 64, learning_rate: 0.05, precision: fp32, channels_last: true, threads: 1,
          checkpoint_every_s: 0}
student:
  model: {name: resnet8, base: 4}
  train: {epochs: 1, batch_size: 64, learning_rate: 0.03, precision: fp32, channels_last: true, threads: 1}
learn: [{step: distil, knowledge: stored, losses: [kd]}]
targets: [{runtime: onnxruntime, precision: fp32, threads: [1]}]
"""


class Build:
    """One launch of the command."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.log = folder / "log"
        self.began = self.log.stat().st_size if self.log.exists() else 0
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        order = [
            "-m",
            "edgekd",
            "knowledge",
            "build",
            str(folder / "recipe.yaml"),
            "--store",
            str(store),
        ]
        variables = {
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "TMPDIR": str(folder / "tmp"),
        }
        self.process = subprocess.Popen(
            [sys.executable, *launcher, *order],
            env=os.environ | variables,
            stdout=self.log.open("ab"),
            stderr=subprocess.STDOUT,
        )

    def wait(self) -> int:
        """Its exit code, at its end."""
        return self.process.wait(timeout=400)

    def said(self) -> str:
        """What it printed."""
        return self.log.read_bytes()[self.began :].decode(errors="replace")

    def find(self, victim: str) -> int | None:
        """The process of that role; None if it is not there (any more)."""
        if self.process.poll() is not None:
            return None
        if victim == "launcher":
            return self.process.pid
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = path.joinpath("stat").read_text().rpartition(")")[2].split()[1]
                variables = path.joinpath("environ").read_bytes().split(b"\0")
                if int(parent) == self.process.pid and f"RANK={victim[-1]}".encode() in variables:
                    return int(path.name)
        return None


def contents(store: Path) -> dict[str, str]:
    """Of each result that learning made, its files' digests."""
    return {
        f"{entry.key} {name}": blob.sha256
        for entry in Store(store).entries()
        if entry.inputs["stage"] in ("train", "knowledge", "data")
        for name, blob in entry.files.items()
    }


def describe_progress(store: Path) -> str:
    """How far the store is."""
    results = len(list(store.glob("ac/*.json")))
    checkpoints = list(store.glob("work/*/checkpoints/*.safetensors"))
    shards = list(store.glob("work/*/checkpoints/**/*.bin"))
    return f"{results} results, {len(checkpoints)} checkpoints, {len(shards)} shards"


def strike(build: Build, store: Path, victim: str, after_s: float) -> dict[str, Any] | None:
    """Kill that process after a time, and wait for the launch to end; None if the run was over before."""
    time.sleep(after_s)
    while (process := build.find(victim)) is None:
        if build.process.poll() is not None:
            return None
        time.sleep(0.05)
    progress = describe_progress(store)
    os.kill(process, signal.SIGKILL)
    killed_s = time.monotonic()
    code = build.wait()
    ended_s = time.monotonic() - killed_s
    errors = [line for line in build.said().splitlines() if line.startswith("error: ")]
    return {
        "victim": victim,
        "after_s": round(after_s, 2),
        "store_had": progress,
        "exit": code,
        "ended_after_s": round(ended_s, 2),
        "errors": errors,
    }


def run_store(
    folder: Path, wanted: dict[str, str], took_s: float, draw: random.Random
) -> dict[str, Any]:
    """Kill runs on one new store, then let one end."""
    kills: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        store = Path(place)
        for _ in range(A_STORE):
            found = strike(
                Build(folder, store), store, draw.choice(VICTIMS), draw.uniform(0.2, 1) * took_s
            )
            if found is None:
                break
            print(found, flush=True)
            kills.append(found)
        last = Build(folder, store)
        code = last.wait()
        same = contents(store) == wanted
    if code or not same:
        print(last.said()[-5000:], flush=True)
    return {"kills": kills, "last_exit": code, "same_bytes": same}


def measure(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield each store's row, until there were so many kills."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="edgekd-kills-") as name:
        folder = Path(name)
        (folder / "tmp").mkdir()
        (folder / "recipe.yaml").write_text(RECIPE)
        began_s, whole = time.monotonic(), Build(folder, folder / "whole")
        if whole.wait():
            raise RuntimeError(whole.said()[-3000:])
        took_s, wanted = time.monotonic() - began_s, contents(folder / "whole")
        print(f"undisturbed: {took_s:.1f} s, {len(wanted)} files", flush=True)
        while count > 0:
            row = run_store(folder, wanted, took_s, draw)
            count -= len(row["kills"])
            row["left_in_tmp"] = len(list((folder / "tmp").iterdir()))
            yield {"seed": seed, "undisturbed_s": round(took_s, 1), "files": len(wanted), **row}


def summarize(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The rows, and what they come to."""
    return {
        "command": " ".join(["python", *sys.argv]),
        "kills": sum(len(row["kills"]) for row in rows),
        "stores": len(rows),
        "stores_with_same_bytes": sum(row["same_bytes"] for row in rows),
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rows = json.loads(given.output.read_text())["rows"] if given.output.exists() else []
    for row in measure(given.kills, given.seed):
        rows.append(row)
        given.output.write_text(json.dumps(summarize(rows), indent=1) + "\n")


if __name__ == "__main__":
    main()
