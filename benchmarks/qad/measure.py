"""What learning with the teacher in the loop adds to calibration, over seeds, at 8 and at 4 bits.

    python benchmarks/qad/measure.py RECIPE STUDENT... --data PREFIX --knowledge FILE --out FOLDER --output RESULT

Each STUDENT is a folder with a float student's blueprint.json, weights.safetensors and resolved.json, one a
seed; DATA the start of the paths of a `data` stage's result; KNOWLEDGE the teacher's stored answers. The stage
`quantize` runs on each, with and without learning (`--bits` says at which widths), and as plain tools calibrate:
minima and maxima, nothing corrected. What lies in OUT already is taken as it is. Test accuracy is that
of the fake-quantized model in float32; intervals are Student's over seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from scipy import stats

from edgekd import recipe as recipes
from edgekd.learn import blueprint
from edgekd.learn.evaluation import read_split
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import quantize

VARIANTS: dict[str, dict[str, Any]] = {
    "8 bits, min-max": {
        "train": None,
        "calibration": "min-max",
        "correct_bias": False,
        "equalize": 0.0,
    },
    "8 bits, calibrated": {"train": None},
    "8 bits, learned": {},
    "4-bit weights, calibrated": {"train": None, "weight_bits": 4},
    "4-bit weights, learned": {"weight_bits": 4},
}
FILES = ("blueprint.json", "weights.safetensors")
DIFFERENCES = (
    ("8 bits, min-max", "float"),
    ("8 bits, calibrated", "float"),
    ("8 bits, learned", "float"),
    ("8 bits, learned", "8 bits, calibrated"),
    ("4-bit weights, calibrated", "float"),
    ("4-bit weights, learned", "float"),
    ("4-bit weights, learned", "4-bit weights, calibrated"),
)
POINTS = 100


class Inputs:
    """The paths a stage is given."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked = asked
        asked.out.mkdir(parents=True, exist_ok=True)

    def of(self, student: Path) -> dict[str, Path]:
        """How the student was trained in arithmetic, on as many threads as asked."""
        resolved = self.asked.out / f"{student.name}-resolved.json"
        found = json.loads((student / "resolved.json").read_bytes())
        resolved.write_text(json.dumps({**found, "threads": self.asked.threads}))
        splits = ("train", "validation", "test")
        given = {name: Path(f"{self.asked.data}{name}") for name in splits}
        return given | {
            "data": Path(f"{self.asked.data}data.json"),
            "start_blueprint": student / FILES[0],
            "start_weights": student / FILES[1],
            "resolved": resolved,
            "knowledge": self.asked.knowledge,
        }


def made(student: Path, variant: str, inputs: Inputs) -> Path:
    """The folder of a quantized student, run if it is not there."""
    goal = inputs.asked.out / f"{student.name}, {variant}"
    if (goal / "sensitivity.json").exists():
        return goal
    print(f"{goal.name}: running", file=sys.stderr, flush=True)
    goal.mkdir(exist_ok=True)
    views = recipes.load(inputs.asked.recipe, []).views
    config = quantize.QuantizeConfig.model_validate(
        {"scheme": "asymmetric", "views": views, "views_seed": 0, **VARIANTS[variant]}
    )
    context = Context(folder=goal, checkpoints=goal / "checkpoints", seed=0, progress=Silent())
    quantize.run(config, inputs.of(student), context)
    return goal


def test_accuracy(folder: Path, given: dict[str, Path]) -> float:
    model = blueprint.load(folder / FILES[0], folder / FILES[1])
    return read_split(given, "test").score(model)


def spread(values: list[float]) -> dict[str, Any]:
    """Mean and its 95 % interval (Student), in points."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return {"mean_points": POINTS * mean, "ci95_points": None}
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return {
        "mean_points": POINTS * mean,
        "ci95_points": [POINTS * (mean - half), POINTS * (mean + half)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("students", type=Path, nargs="+")
    parser.add_argument("--data", required=True)
    parser.add_argument("--knowledge", type=Path, required=True)
    parser.add_argument("--bits", type=int, choices=(8, 4), nargs="+", default=(8, 4))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    inputs = Inputs(asked)
    variants = [name for name in VARIANTS if int(name[0]) in asked.bits]
    rows = {}
    for student in asked.students:
        given = inputs.of(student)
        rows[student.name] = {"float": test_accuracy(student, given)} | {
            variant: test_accuracy(made(student, variant, inputs), given) for variant in variants
        }
    column = {name: [row[name] for row in rows.values()] for name in ("float", *variants)}
    against = {
        f"{a} - {b}": spread([x - y for x, y in zip(column[a], column[b], strict=True)])
        for a, b in DIFFERENCES
        if a in variants
    }
    command = "python benchmarks/qad/measure.py RECIPE STUDENT... --data PREFIX --knowledge FILE"
    result = {"command": command, "test_accuracy": rows, "differences": against}
    asked.output.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(against, indent=2))


if __name__ == "__main__":
    main()
