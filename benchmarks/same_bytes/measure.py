"""Whether this checkout makes of the shipped recipes, shortened, what another commit made: byte for byte.

    python benchmarks/same_bytes/measure.py --against COMMIT [RECIPE ...]

For changes that must change nothing: both sides run COMMIT's recipes on this machine with this environment's
packages, one after the other. Compared are weights, ONNX files, knowledge and golden answers by SHA-256. The result goes to
`benchmarks/same_bytes/result.json`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import venv
from collections import Counter
from pathlib import Path
from typing import Any
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MEASURE = (
    "measure.processes_min=6",
    "measure.processes_max=6",
    "measure.max_time_s=0.05",
    "measure.min_time_s=0.02",
)
ORDER = ("teacher.train.channels_last=true", "student.train.channels_last=true")
"""Of memory: `auto` is timed, and a loaded machine may answer otherwise; sums of step sizes' gradients then differ."""
SHORTENED: dict[str, tuple[str, ...]] = {
    "quickstart": (
        "teacher.train.epochs=2",
        "student.train.epochs=2",
        "learn=[{step: distil, losses: [{name: kd, temperature: 4.0}]}, {step: quantize, train: {epochs: 1, "
        "optimizer: adamw, learning_rate: 3e-4, precision: fp32, channels_last: true, threads: 1}}]",
        "targets=[{runtime: onnxruntime, precision: [int8]}]",
    ),
    "digits-methods": (
        "teacher.train.epochs=2",
        "teachers.wide.train.epochs=1",
        "student.train.epochs=2",
        "learn.0.train.epochs=1",
    ),
    "digits-without-data": (
        "teacher.train.epochs=3",
        "student.train.epochs=2",
        "synthesis.method.steps=20",
        "synthesis.count=128",
    ),
    "fashion-mnist": (
        "data.limit=2000",
        "teacher.train.epochs=1",
        "student.train.epochs=1",
        "views.count=1",
        "teacher.train.precision=fp32",
        "student.train.precision=fp32",
        *ORDER,
    ),
    "fashion-mnist-int8": (
        "data.limit=2000",
        "teacher.train.epochs=1",
        "student.train.epochs=1",
        "learn.1.train.epochs=1",
        "views.count=1",
        "teacher.train.precision=fp32",
        "student.train.precision=fp32",
        *ORDER,
    ),
}
"""What of each recipe is changed for it to run in a minute, and for the quickstart to quantize."""
NAMES = ("weights.safetensors", "model.onnx", "knowledge.npy", "golden.safetensors")
"""Files of a stage that must be the same; the stage's place in the store changes with the code."""


class Made(NamedTuple):
    """One file of one stage."""

    stage: str
    file: str
    sha256: str


def make(checkout: Path, path: Path, folder: Path) -> list[Made]:
    """What `checkout` makes of the recipe at `path`, shortened, run in `folder` with a store of its own."""
    sets = [word for change in (*SHORTENED[path.stem], *MEASURE) for word in ("--set", change)]
    where = ["--run-dir", str(folder / "run"), "--store", str(folder / "store")]
    ended = subprocess.run(
        [
            python_of(checkout, folder),
            "-m",
            "edgekd",
            "compress",
            str(path),
            "--quiet",
            *where,
            *sets,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode not in (0, 1):  # 1: a budget that so short a training misses
        sys.exit(f"{checkout}: {path}: exit {ended.returncode}: {ended.stderr[-2000:]}")
    found = []
    for path in sorted((folder / "store" / "ac").glob("*.json")):
        manifest = json.loads(path.read_bytes())
        for name, blob in manifest["files"].items():
            if name in NAMES:
                found.append(Made(manifest["inputs"]["stage"], name, blob["sha256"]))
    return sorted(found)


def python_of(checkout: Path, folder: Path) -> str:
    """A Python with this environment's packages and `checkout` before them, for workers that ignore PYTHONPATH, too."""
    venv.create(folder / "environment", with_pip=False)
    (packages,) = (folder / "environment").glob("lib/*/site-packages")
    paths = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "paths.pth").write_text("\n".join([str(checkout), *paths]) + "\n")
    return str(folder / "environment" / "bin" / "python")


def compare(before: list[Made], after: list[Made]) -> dict[str, Any]:
    """How many files are the same, and which are not on both sides."""
    gone = sorted((Counter(before) - Counter(after)).elements())
    new = sorted((Counter(after) - Counter(before)).elements())
    return {
        "files": len(before),
        "same": len(before) - len(gone),
        "only_before": [list(one) for one in gone],
        "only_after": [list(one) for one in new],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", default=list(SHORTENED))
    parser.add_argument("--against", required=True, help="a commit")
    options = parser.parse_args()
    commit = git("rev-parse", options.against)
    result: dict[str, Any] = {"command": shlex.join(["python", *sys.argv]), "against": commit}
    with tempfile.TemporaryDirectory() as scratch:
        other = Path(scratch) / "other"
        git("worktree", "add", "--detach", str(other), commit)
        try:
            for recipe in options.recipes:
                sides = []
                path = other / "pipelines" / f"{recipe}.yaml"
                for number, checkout in enumerate((other, ROOT)):
                    folder = Path(scratch) / f"{recipe}-{number}"
                    folder.mkdir()
                    sides.append(make(checkout, path, folder))
                result[recipe] = compare(*sides)
                print(recipe, json.dumps(result[recipe]), flush=True)
        finally:
            git("worktree", "remove", "--force", str(other))
    (HERE / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(any(result[recipe]["only_before"] for recipe in options.recipes))


def git(*arguments: str) -> str:
    """What git prints in this checkout."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
