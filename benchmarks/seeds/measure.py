"""Does distillation help? The student against its control over seeds, on the test set.

    python benchmarks/seeds/measure.py pipelines/fashion-mnist.yaml --seeds 0 1 2 --output RESULT.json

Walks the learning steps of a recipe for each `student_seed` (teacher and knowledge are shared, and found in
the store), scores control and student in float32 on the test set, and gives the mean difference with its
95 % interval (Student's t over the seeds, paired).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

from scipy.stats import t

from edgekd import recipe as recipes
from edgekd import run
from edgekd.bench.machine import fingerprint
from edgekd.display import make_display
from edgekd.learn import blueprint
from edgekd.learn.evaluation import read_split
from edgekd.plan import learning
from edgekd.plan import roles
from edgekd.plan import student
from edgekd.stage import Bindings
from edgekd.walk import Walker
from edgekd.walk import open_store


def scores(path: Path, sets: list[str], options: run.Options) -> dict[str, float]:
    """Test accuracy of teacher, control and student, learned with one `student_seed`."""
    recipe = recipes.load(path, sets)
    labels = {"teacher": "teacher", "control": "control", "student": roles.float_label(recipe)}
    with open_store(options) as store, make_display(quiet=False, verbose=True) as progress:
        here = fingerprint.machine_key()
        walker = Walker(store, options, progress, Bindings(here, here))
        taught = learning.steps(recipe, path.parent, (), options)
        walker.walk([*taught, *student.steps(recipe, (), options)])
        given = {"data": walker.path("data", "data.json"), "test": walker.path("data", "test")}
        test = read_split(given, "test")
        return {
            role: test.score(
                blueprint.load(
                    walker.path(label, "blueprint.json"), walker.path(label, "weights.safetensors")
                )
            )
            for role, label in labels.items()
        }


def interval(differences: list[float]) -> tuple[float, float]:
    """95 % interval of the mean, from Student's t."""
    mean, count = statistics.mean(differences), len(differences)
    half = t.ppf(0.975, count - 1) * statistics.stdev(differences) / count**0.5
    return mean - half, mean + half


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    options = run.Options(run_dir=Path("runs"), store=given.store or run.default_store())
    rows = {
        seed: scores(given.recipe, [f"student_seed={seed}", *given.sets], options)
        for seed in given.seeds
    }
    gains = [100 * (row["student"] - row["control"]) for row in rows.values()]
    report = {
        "command": "python " + " ".join(sys.argv),
        "test_accuracy": rows,
        "gain_points": {
            "each": gains,
            "mean": statistics.mean(gains),
            "ci95": interval(gains) if len(gains) > 1 else None,
        },
    }
    text = json.dumps(report, indent=1)
    print(text)
    if given.output:
        given.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
