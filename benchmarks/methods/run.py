"""Distillation methods on Fashion-MNIST at half its side, two teacher-student pairs, three seeds: the runs.

    python benchmarks/methods/run.py WORK --rates       the control at each rate of words.RATES
    python benchmarks/methods/run.py WORK [--lanes 2 --lane 0] [--pairs same] [--seeds 0] [--only kd at]

Each run trains one student on 1,280 images, the same for all methods, and is left in ``WORK/runs`` (``WORK/rates``)
as one json file, so that a killed one goes on where it was. Teachers are trained when they are first needed, once;
their folders are named by their settings. A method that fails or diverges is a row, too; ``--retry`` runs it
anew. Lanes share the work; start each with OMP_NUM_THREADS=1. Then render.py.
"""

from __future__ import annotations

import argparse
import fcntl
import itertools
import json
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np
import yaml
from images import NAME
from images import write_images
from words import CONTROL
from words import PAIRS
from words import RATES
from words import SEEDS
from words import STUDENTS_TRAIN
from words import SUBSET
from words import methods
from words import recipe

from edgekd import files
from edgekd import recipe as recipes
from edgekd import splits
from edgekd.errors import BudgetMissed
from edgekd.learn import blueprint
from edgekd.learn import chance
from edgekd.learn.evaluation import read_split
from edgekd.learn.training.fit import TrainingDiverged
from edgekd.plan import learning
from edgekd.plan import student
from edgekd.progress import Silent
from edgekd.run import Options
from edgekd.stage import Context
from edgekd.stage import Step

FAILED = "failed"


class Clock(Silent):
    """Notes when how many steps were through."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float, float]] = []

    def update(self, done: int, total: int, text: str) -> None:
        """One row."""
        self.rows.append((done, time.perf_counter(), time.process_time()))

    def step_s(self, skip: int) -> dict[str, float]:
        """Median seconds a step after the first `skip`: on the wall's clock, and of this process's CPU."""
        kept = [row for row in self.rows if row[0] >= skip]
        pairs = [(a, b) for a, b in itertools.pairwise(kept) if b[0] > a[0]]
        if not pairs:
            return {}
        each = [[(b[i] - a[i]) / (b[0] - a[0]) for a, b in pairs] for i in (1, 2)]
        return {"wall_step_s": statistics.median(each[0]), "cpu_step_s": statistics.median(each[1])}


class Place:
    """Files of earlier steps in WORK, made when they are first asked for by one of the lanes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def given(self, steps: Mapping[str, Step], step: Step, *, whole: bool) -> dict[str, Path]:
        """A step's inputs; the training split as a teacher sees it, or the students' subset."""
        return {
            name: self.file(steps, *place, whole=whole or place[1].startswith("validation"))
            for name, place in step.takes.items()
        }

    def file(self, steps: Mapping[str, Step], label: str, file: str, *, whole: bool) -> Path:
        """One file of the step `label`."""
        if label.startswith("tune"):
            return self.resolved(steps[label])
        step = steps[label]
        kind = f"{step.stage.name}-{key(step)}"
        if step.stage.name == "knowledge":
            kind += "-" + key(steps[step.takes["weights"][0]])
            kind += "-" + self.resolved(steps[step.takes["resolved"][0]]).stem
        folder = self.root / kind
        with locked(self.root / f"{kind}.lock"):
            if not folder.exists():
                for_teacher = step.stage.name != "knowledge"
                given = {} if label == "data" else self.given(steps, step, whole=for_teacher)
                self.make(step, given, folder)
        name = file if (folder / file).exists() else f"{file}.npy"
        if label == "data" and name.startswith("train") and not whole:
            return self.part(folder / name)
        return folder / name

    def make(self, step: Step, given: Mapping[str, Path], folder: Path) -> None:
        """Run a step into its folder; a broken one leaves nothing."""
        print(time.strftime("%H:%M:%S"), folder.name, step.label, file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=self.root) as scratch:
            execute(step, given, Path(scratch), Clock())
            (Path(scratch) / "made").rename(folder)

    def part(self, whole: Path) -> Path:
        """The students' share of a split."""
        path = whole.with_name(f"first-{SUBSET}-{whole.name}")
        if not path.exists():
            rows = splits.read(whole)
            files.write_through(path, lambda p: splits.write(p, rows, np.arange(SUBSET)))
        return path

    def resolved(self, step: Step) -> Path:
        """What a `tune` step would give: nothing is left open."""
        settings: Any = step.settings
        order = "last" if settings.channels_last else "first"
        name = f"{settings.precision}-{order}-{settings.threads}"
        path = self.root / f"resolved-{name}.json"
        value = {
            "precision": settings.precision,
            "channels_last": settings.channels_last,
            "threads": settings.threads,
        }
        files.write_bytes(path, files.canonical_json(value))
        return path


def key(step: Step) -> str:
    """Of a step's settings and seed; what is at its default and new does not change it."""
    said = f"{step.settings.model_dump_json()} {step.seed}"
    return files.digest_bytes(said.encode())[:10]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def execute(step: Step, given: Mapping[str, Path], scratch: Path, progress: Silent) -> None:
    """Run one step in ``scratch/made``."""
    made, kept = scratch / "made", scratch / "kept"
    made.mkdir()
    kept.mkdir()
    context = Context(folder=made, checkpoints=kept, seed=step.seed, progress=progress)
    step.stage.run(step.settings, given, context)


def planned(
    pair: str, method: str, seed: int, root: Path, rate: float | None = None
) -> dict[str, Step]:
    """The steps of the method's recipe, by label."""
    images = str(root / NAME)
    words = {**recipe(pair, method, methods()[method], images, rate), "student_seed": seed}
    path = root / "recipes" / f"{words['name']}-{seed}-{rate or 'tuned'}.yaml"
    files.write_bytes(path, yaml.safe_dump(words).encode())
    loaded = recipes.load(path)
    options = Options(run_dir=root / "none", store=root / "none")
    steps = [*learning.steps(loaded, root, (), options), *student.steps(loaded, (), options)]
    return {step.label: step for step in steps}


def measured(
    place: Place, pair: str, method: str, seed: int, rate: float | None = None
) -> dict[str, Any]:
    """Train one student; what it does on the test images, and what it cost."""
    steps = planned(pair, method, seed, place.root, rate)
    step = steps["control" if not methods()[method] else "distil"]
    given = place.given(steps, step, whole=False)
    clock, row = Clock(), dict[str, Any]()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=place.root) as scratch:
        try:
            execute(step, given, Path(scratch), clock)
        except BudgetMissed as error:
            row["error"] = str(error)
        row["train_s"] = time.perf_counter() - began
        made = Path(scratch) / "made"
        history = json.loads((made / "history.json").read_bytes())
        score = json.loads((made / "score.json").read_bytes())
        row["student_parameters"] = score["parameters"]
        layers = made / "layers.json"
        told = json.loads(layers.read_bytes()) if layers.exists() else {}
        row["layers"], beside = told.get("layers", []), told.get("trained_beside", 0)
        test = place.file(steps, "data", "test", whole=True)
        row |= tested(made, {**given, "test": test})
    last = {k: v for k, v in history[-1].items() if k not in ("learning_rate", "score")}
    skip = SUBSET // STUDENTS_TRAIN["batch_size"]
    row |= {"terms": last, "validation_accuracy": history[-1]["score"]}
    return {**row, "companion_parameters": beside, **clock.step_s(skip)}


def tested(made: Path, given: Mapping[str, Path]) -> dict[str, Any]:
    """Accuracy of the last weights on the test images, in float32."""
    model = blueprint.load(made / "blueprint.json", made / "weights.safetensors")
    test = read_split(given, "test")
    told = test.outputs(model)
    standing = chance.compute_standing(test.task, told, test.targets, test.dataset)
    status = "chance" if standing.is_near_chance else "trained"
    return {"test_accuracy": test.score_of(told), "status": status}


def attempted(
    place: Place, pair: str, method: str, seed: int, rate: float | None = None
) -> dict[str, Any]:
    """A run's row, whatever becomes of it."""
    row: dict[str, Any] = {"pair": pair, "method": method, "seed": seed}
    row |= {} if rate is None else {"rate": rate}
    try:
        return row | measured(place, pair, method, seed, rate)
    except TrainingDiverged as error:
        return {**row, "status": "diverged", "error": str(error)}
    except Exception as error:  # one method must not end the others
        print(traceback.format_exc(), file=sys.stderr, flush=True)
        return {**row, "status": FAILED, "error": f"{type(error).__name__}: {error}"}


class Goal(NamedTuple):
    """One run."""

    pair: str
    method: str
    seed: int
    rate: float | None = None

    def path(self, root: Path) -> Path:
        """Where its row lies."""
        name = ", ".join(str(each) for each in self if each is not None)
        return root / ("runs" if self.rate is None else "rates") / f"{name}.json"


def goals(asked: argparse.Namespace) -> list[Goal]:
    """All runs of all lanes, in order: what lies there at any moment are whole rows, the worthiest first."""
    if asked.rates:
        return [Goal(p, CONTROL, s, r) for p in asked.pairs for r in RATES for s in asked.seeds]
    return [
        Goal(pair, name, seed)
        for name in methods()
        for pair in asked.pairs
        for seed in asked.seeds
        if not asked.only or name in asked.only
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path, help="folder of the IDX files")
    parser.add_argument("--rates", action="store_true", help="the control at each rate")
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("--lane", type=int, default=0)
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=list(PAIRS))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--only", nargs="+", choices=methods())
    parser.add_argument("--retry", action="store_true", help="runs that failed")
    asked = parser.parse_args()
    place = Place(asked.work.resolve())
    for folder in ("runs", "rates", "recipes"):
        (place.root / folder).mkdir(parents=True, exist_ok=True)
    write_images(place.root, asked.data)
    for goal in goals(asked)[asked.lane :: asked.lanes]:
        path = goal.path(place.root)
        if path.exists() and not (asked.retry and json.loads(path.read_text())["status"] == FAILED):
            continue
        row = attempted(place, *goal)
        files.write_bytes(path, files.pretty_json(row))
        keys = ("status", "test_accuracy", "validation_accuracy", "train_s", "cpu_step_s", "error")
        told = {key: row[key] for key in keys if key in row}
        print(time.strftime("%H:%M:%S"), path.stem, json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
