"""Kill a whole run at every durable operation, and at random moments; every time it must end the same.

    python tests/system/kill_sweep.py --output benchmarks/reliability/kill_sweep.json

A reference run of a quickstart-sized recipe is made once, with its durable operations logged. For each
operation the sweep starts from the reference's store without the result of that operation's step, kills
the process there with SIGKILL, runs the same command again and compares: all results that hold no times must
have the reference's digests (a later step is found only if the struck one made the same bytes), the run folder
its files, and no temporary file may be left. Random kills start from an empty store and strike anywhere.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
RECIPE = ROOT / "pipelines" / "quickstart.yaml"
SMALL = [
    "teacher.train.epochs=4",
    "student.train.epochs=4",
    "views.count=2",
    "data.limit=600",
    "teacher.model={name: resnet8, base: 8}",
    "teacher.train.precision=fp32",
    "teacher.train.channels_last=true",
    "student.train.precision=fp32",
    "student.train.channels_last=true",
    "teacher.train.checkpoint_every_s=0",
    "student.train.checkpoint_every_s=0",
    "teacher.train.threads=1",
    "student.train.threads=1",
    "student.model={name: resnet8, base: 4}",
    "measure.min_time_s=0.02",
    "measure.max_time_s=0.05",
    "measure.max_warmup_s=0.2",
    "budget={}",
]
TIMED = ("measure", "choose", "bundle", "report")
"""Steps whose results hold times, or follow from them: they must be whole, not the same."""


class Outcome(NamedTuple):
    """One kill and what came of it."""

    where: str
    killed: bool
    fault: str


def command(store: Path, run_dir: Path) -> list[str]:
    sets = [part for text in SMALL for part in ("--set", text)]
    places = ["--store", str(store), "--run-dir", str(run_dir)]
    return [sys.executable, "-m", "edgekd", "-q", "compress", str(RECIPE), *places, *sets]


def run(folder: Path, fault: str = "", kill_after_s: float | None = None) -> int:
    """Run the recipe in `folder`; its exit status, negative if a signal ended it."""
    environment = {**os.environ, "EDGEKD_FAULT": fault, "OMP_NUM_THREADS": "1"}
    with open(folder / "stderr", "a") as errors:
        child = subprocess.Popen(
            command(folder / "store", folder / "run"),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
    if kill_after_s is not None:
        try:
            return child.wait(kill_after_s)
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
    return child.wait()


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """Every manifest of a store by its key."""
    manifests = (folder / "store" / "ac").glob("*.json")
    return {path.stem: json.loads(path.read_bytes()) for path in manifests}


def lasting(folder: Path) -> dict[str, Any]:
    """What must be the same after any kill: the files of every step that holds no times."""
    return {
        key: {name: blob["sha256"] for name, blob in value["files"].items()}
        for key, value in results(folder).items()
        if value["inputs"]["stage"] not in (*TIMED, "evaluate")
    }


def fault_of(folder: Path, reference: dict[str, Any]) -> str:
    """What is wrong with a resumed run; empty if nothing is."""
    from edgekd.store import Store

    if lasting(folder) != reference:
        return "other bytes than the uninterrupted run"
    if Store(folder / "store").verify():
        return "a result does not verify"
    left = [p.name for p in folder.rglob(".tmp-*")]
    if left:
        return f"left {left}"
    for name in ("result.json", "report.md", "bundle/manifest.json", "bundle/model.onnx"):
        if not (folder / "run" / name).is_file():
            return f"no {name}"
    return ""


def resume(folder: Path, reference: dict[str, Any]) -> str:
    code = run(folder)
    return fault_of(folder, reference) if code == 0 else f"exit {code} when run again"


def operations(log: Path) -> list[tuple[int, str]]:
    """Number and text of each durable operation of the reference run."""
    lines = log.read_text().splitlines()
    return [(int(line.split()[0]), line) for line in lines]


def strike(folder: Path, base: Path, number: int, line: str, reference: dict[str, Any]) -> Outcome:
    """Kill at one operation, starting from a store that lacks its step's result."""
    shutil.copytree(base, folder, copy_function=os.link)
    code = run(folder, f"kill@{number}")
    outcome = Outcome(line, code == -signal.SIGKILL, resume(folder, reference))
    shutil.rmtree(folder)
    return outcome


def strike_at_random(folder: Path, after_s: float, reference: dict[str, Any]) -> Outcome:
    folder.mkdir()
    code = run(folder, kill_after_s=after_s)
    outcome = Outcome(f"after {after_s:.2f} s", code == -signal.SIGKILL, resume(folder, reference))
    shutil.rmtree(folder)
    return outcome


def stores(reference: Path, log: list[tuple[int, str]], work: Path) -> list[tuple[int, Path]]:
    """For each operation, how many came before its step, and a store that lacks that step alone."""
    # A commit's last operation removes work/<key>: what comes next belongs to the next step.
    ends = [
        (number, Path(line.split(maxsplit=2)[2]).name)
        for number, line in log
        if line.split()[1] == "remove" and Path(line.split(maxsplit=2)[2]).parent.name == "work"
    ]
    everything = list(results(reference))
    found: list[tuple[int, Path]] = []
    start = 0
    for end, key in [*ends, (len(log), "")]:
        if end > start:
            base = _store(reference, work / f"base-{end}", [k for k in everything if k != key])
            found += [(start, base)] * (end - start)
        start = end
    return found


def _store(reference: Path, goal: Path, keys: list[str]) -> Path:
    (goal / "store" / "ac").mkdir(parents=True)
    for key in keys:
        manifest = reference / "store" / "ac" / f"{key}.json"
        os.link(manifest, goal / "store" / "ac" / manifest.name)
        for blob in json.loads(manifest.read_bytes())["files"].values():
            source = reference / "store" / "cas" / blob["sha256"][:2] / blob["sha256"]
            target = goal / "store" / "cas" / blob["sha256"][:2] / blob["sha256"]
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                os.link(source, target)
    return goal


def sweep(work: Path, every: int, randoms: int, workers: int) -> dict[str, Any]:
    """All kills; a summary."""
    reference = work / "reference"
    reference.mkdir()
    started = time.monotonic()
    if run(reference, f"log:{work / 'log'}") != 0:
        raise SystemExit((reference / "stderr").read_text())
    whole_s = time.monotonic() - started
    want, log = lasting(reference), operations(work / "log")
    bases = stores(reference, log, work)
    chosen = range(0, len(log), every)
    rng = random.Random(0)
    moments = [rng.uniform(0, whole_s * workers**0.5) for _ in range(randoms)]
    with ThreadPoolExecutor(workers) as pool:
        swept = [
            pool.submit(
                strike, work / f"at-{i}", bases[i][1], log[i][0] - bases[i][0], log[i][1], want
            )
            for i in chosen
        ]
        struck = [
            pool.submit(strike_at_random, work / f"random-{i}", after_s, want)
            for i, after_s in enumerate(moments)
        ]
        done = {"operations": [f.result() for f in swept], "random": [f.result() for f in struck]}
    return {
        "command": "python " + " ".join(sys.argv),
        "durable_operations": len(log),
        "reference_run_s": round(whole_s, 1),
        **{name: summary(outcomes, work) for name, outcomes in done.items()},
    }


def summary(outcomes: list[Outcome], work: Path) -> dict[str, Any]:
    faults = [o for o in outcomes if o.fault]
    return {
        "runs": len(outcomes),
        "killed": sum(o.killed for o in outcomes),
        "resumed_to_identical_bytes": len(outcomes) - len(faults),
        "faults": [{"where": o.where.replace(str(work), ""), "fault": o.fault} for o in faults],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="strike at every n-th operation")
    parser.add_argument("--randoms", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgekd-kill-") as work:
        report = sweep(Path(work), given.every, given.randoms, given.workers)
    text = json.dumps(report, indent=1)
    print(text)
    if given.output:
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
