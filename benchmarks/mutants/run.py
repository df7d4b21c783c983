"""How many wrong changes of a room its tests notice: `make mutants ROOM=bench/statistics`.

    python benchmarks/mutants/run.py ROOM [--count 60] [--seed 0] [--jobs 1]

Works on a copy of what git tracks, in an environment of its own that borrows this one's packages; the
checkout stays as it is. Each change is made alone and the room's own tests are run, those that mirror the
changed file first. The result goes to `benchmarks/mutants/ROOM.json`. A survivor that changes nothing
anyone could see is listed in `equivalent.json` with the reason, and does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from multiprocessing.pool import ThreadPool
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from typing import NamedTuple

from changes import Change
from changes import changes

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SLOWEST = 4.0
"""Times what the tests take unchanged; then a change counts as noticed: it hangs."""
MORE_TESTS = {
    "bench/pair": ["tests/cli/test_bench_compare.py"],
    "gating": ["tests/gates"],
    "bundle": ["tests/stages/test_bundle.py"],
}
"""Tests of a room that do not lie where it does."""


class Mutant(NamedTuple):
    """One change of one file."""

    file: str
    change: Change


class Copy:
    """A copy of the project with an environment of its own, and a warm process that runs its tests."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder = folder
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [str(python), str(HERE / "warm.py")],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run_tests(self, tests: list[str], limit_s: float) -> tuple[bool, float]:
        """Whether they pass within `limit_s`; and what they took, in seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"tests": tests, "limit_s": limit_s}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["passed"], answer["seconds"]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def copied(folder: Path) -> Copy:
    """What git tracks, copied into `folder`, with an environment that finds it before all else."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (folder / "project" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / "project" / name)
    venv.create(folder / "environment", symlinks=True, with_pip=False)
    (packages,) = (folder / "environment").glob("lib/python*/site-packages")
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "0.pth").write_text("\n".join([str(folder / "project"), *borrowed]) + "\n")
    return Copy(folder / "project", folder / "environment" / "bin" / "python")


def mutants(room: str) -> Iterator[Mutant]:
    """Every change of the room's files."""
    place = ROOT / "edgekd" / room
    paths = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    for path in paths:
        for change in changes(path.read_bytes()):
            yield Mutant(path.relative_to(ROOT).as_posix(), change)


def tests_of(room: str, file: str = "") -> tuple[list[str], list[str]]:
    """The room's tests: the ones that mirror `file`, and the others."""
    place = ROOT / "tests" / room
    near = f"test_{Path(room).name}*.py"
    paths = [place] if place.is_dir() else sorted(place.parent.glob(near))
    own = [
        p for path in paths for p in (sorted(path.rglob("test_*.py")) if path.is_dir() else [path])
    ]
    stem = Path(file).stem
    own.sort(key=lambda path: stem not in path.read_text())
    names = [path.relative_to(ROOT).as_posix() for path in own]
    mirrored = [name for name in names if Path(name).stem.startswith(f"test_{stem}")]
    return mirrored, [name for name in names if name not in mirrored] + MORE_TESTS.get(room, [])


def judge(copy: Copy, mutant: Mutant, room: str, limit_s: float) -> dict[str, Any] | None:
    """None if the tests notice `mutant`; else what survived."""
    path = copy.folder / mutant.file
    source = path.read_bytes()
    path.write_bytes(mutant.change.apply(source))
    try:
        parts = [tests for tests in tests_of(room, mutant.file) if tests]
        passed = all(copy.run_tests(tests, limit_s)[0] for tests in parts)
    finally:
        path.write_bytes(source)
    if not passed:
        return None
    line = source.splitlines()[mutant.change.line - 1].decode().strip()
    facts = {"file": mutant.file, "line": mutant.change.line, "text": line}
    return {**facts, "before": mutant.change.before, "after": mutant.change.after}


def is_equivalent(survivor: dict[str, Any], known: list[dict[str, str]]) -> bool:
    keys = ("file", "text", "before", "after")
    return any(all(survivor[key] == one[key] for key in keys) for one in known)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("room")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    every = list(mutants(asked.room))
    drawn = random.Random(asked.seed).sample(every, min(asked.count, len(every)))
    known = json.loads((HERE / "equivalent.json").read_text())
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(asked.jobs):
            copies.put(copied(Path(folder) / str(number)))
        first = copies.get()
        passed, took_s = first.run_tests(sum(tests_of(asked.room), []), 3600)
        if not passed:
            raise SystemExit(f"{asked.room}: its tests fail as they are")
        limit_s = 30 + SLOWEST * took_s
        copies.put(first)

        def work(mutant: Mutant) -> dict[str, Any] | None:
            copy = copies.get()
            try:
                return judge(copy, mutant, asked.room, limit_s)
            finally:
                copies.put(copy)

        survivors = []
        for number, survivor in enumerate(ThreadPool(asked.jobs).imap(work, drawn), 1):
            if survivor is not None:
                survivors.append(survivor)
                print(f"survived: {survivor}", flush=True)
            print(f"{number} of {len(drawn)}, {len(survivors)} survived", flush=True)
        for _ in range(asked.jobs):
            copies.get().close()
    counted = [one for one in survivors if not is_equivalent(one, known)]
    told = len(drawn) - (len(survivors) - len(counted))
    result = {
        "command": f"python benchmarks/mutants/run.py {asked.room} --count {asked.count} --seed {asked.seed}",
        "room": asked.room,
        "changes": len(every),
        "drawn": len(drawn),
        "equivalent": len(survivors) - len(counted),
        "killed": told - len(counted),
        "killed_share": round((told - len(counted)) / max(told, 1), 4),
        "seconds": round(time.monotonic() - began_s),
        "survivors": survivors,
    }
    name = asked.room.replace("/", "-") + ".json"
    (HERE / name).write_text(json.dumps(result, indent=2) + "\n")
    print(
        f"{asked.room}: {result['killed']} of {told} noticed ({100 * result['killed_share']:.0f} %)"
    )


if __name__ == "__main__":
    main()
