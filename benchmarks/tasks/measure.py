"""Does distillation help, and what does int8 cost? Recipes of any task over seeds, on the test set.

    python benchmarks/tasks/measure.py pipelines/digit-scenes.yaml --seeds 0 1 2

Walks a recipe up to its compiled int8 students once a seed. The seed is that of the whole run (`seed` and
`student_seed`): each has a teacher, views and, where the source gives no splits, a split of its own. Nothing is timed.
Teacher, control and student are scored by torch in float32, int8 by each engine. What is in the store is not made
again, so a measurement that was killed goes on.

A difference is positive where the first is better, in points for fractions, else in the metric's unit. Its interval is
Student's t over the seeds, of pairs; beside it stands for each seed the paired bootstrap over the test samples. Results
of recipes that are not named stay in the output as they are.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from edgekd import plan
from edgekd import recipe as recipes
from edgekd import run
from edgekd.bench import scores
from edgekd.bench.machine import fingerprint
from edgekd.display import make_display
from edgekd.learn import blueprint
from edgekd.learn.evaluation import read_split
from edgekd.plan import deploying
from edgekd.plan import profiles
from edgekd.plan import roles
from edgekd.recipe import Recipe
from edgekd.sampling_error import drop_interval
from edgekd.stage import Bindings
from edgekd.task import Metric
from edgekd.task import Scale
from edgekd.task import score_drop
from edgekd.task import value_text
from edgekd.walk import Walker
from edgekd.walk import open_store

MOST_PERCENT = 0.5
"""Of its score that int8 may lose."""
WITHIN = f"loses_at_most_{MOST_PERCENT}_percent"
LEFT_OUT = ("measure", "choose", "evaluate", "export-teacher")
INT8 = "int8 "
Rows = Mapping[str, NDArray[np.float64]]


def score_models(recipe: Recipe, folder: Path, options: run.Options) -> tuple[Metric, Rows]:
    """The metric, and its rows on the test set by model: teacher, control, student, int8 by engine.

    Args:
        recipe: with its seeds set.
        folder: what its paths are relative to.
        options: where the store is.
    """
    of_targets = profiles.target_profiles(recipe, options.device)
    wanted = [c for c in deploying.candidates(recipe, of_targets) if c.precision == "int8"]
    compiled = {f"compile-{each.name}": each for each in wanted}
    with open_store(options) as store, make_display(quiet=False, verbose=True) as progress:
        here = fingerprint.machine_key()
        walker = Walker(store, options, progress, Bindings(here, here))
        for step in plan.steps(recipe, folder, options):
            if step.label in LEFT_OUT or (
                step.label.startswith("compile-") and step.label not in compiled
            ):
                continue
            walker.run_step(step)
        given = {"data": walker.path("data", "data.json"), "test": walker.path("data", "test")}
        test = read_split(given, "test", allow_code=options.allow_code)
        metric, rows = test.task.score, {}
        makers = {
            "teacher": "teacher",
            "control": "control",
            "student": roles.float_label(recipe),
        }
        for role, label in makers.items():
            files = (walker.path(label, name) for name in ("blueprint.json", "weights.safetensors"))
            model = blueprint.load(*files, allow_code=options.allow_code)
            rows[role] = test.metric_rows(test.outputs(model))
        for label, one in compiled.items():
            names = walker.entries[label].files
            made = {f"{one.name}/{name}": walker.path(label, name) for name in names}
            about = json.loads(made[f"{one.name}/engine.json"].read_bytes())
            engine = next(iter(one.engines(about, made).values()))
            found = scores.score_engine(engine, given["test"], test.dataset, test.task)
            rows[INT8 + one.runtime] = found[metric.name]
    return metric, rows


def find_interval(differences: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of their mean by Student's t; None of fewer than two."""
    if len(differences) < 2:
        return None
    mean, count = statistics.fmean(differences), len(differences)
    half = float(stats.t.ppf(0.975, count - 1)) * statistics.stdev(differences) / count**0.5
    return mean - half, mean + half


def judge(interval: tuple[float, float] | None, than: float = 0.0) -> str:
    """``better`` or ``worse`` where the whole interval lies above or below `than`, else ``not told apart``."""
    if interval is None or interval[0] <= than <= interval[1]:
        return "not told apart"
    return "better" if interval[0] > than else "worse"


def compare(metric: Metric, seeds: Sequence[Rows], one: str, other: str) -> dict[str, Any]:
    """How much better the model `run_step` is than `other`: each seed's difference, and what they say together.

    Args:
        metric: whose rows they are.
        seeds: of each the rows by model.
        one: the name of a model.
        other: of the one it is compared with.
    """
    values = [(metric.value(rows[one]), metric.value(rows[other])) for rows in seeds]
    gains = [-score_drop(metric, *pair) + 0.0 for pair in values]
    drops = [drop_interval(metric, rows[one], rows[other]) for rows in seeds]
    interval = find_interval(gains)
    found: dict[str, Any] = {
        "each": gains,
        "mean": statistics.fmean(gains),
        "ci95": interval,
        "verdict": judge(interval),
        "each_ci95_over_samples": [(-high, -low) for low, high in drops],
    }
    if one.startswith(INT8):
        whole = 100 if metric.unit == "fraction" else 1
        parts = [100 * gain / (whole * of) for gain, (_, of) in zip(gains, values, strict=True)]
        share = find_interval(parts)
        verdict = judge(share, -MOST_PERCENT)
        words = {"better": "yes", "worse": "no"}.get(verdict, verdict)
        found["percent_of_score"] = {"each": parts, "mean": statistics.fmean(parts), "ci95": share}
        found[WITHIN] = words
    return found


def summarize(metric: Metric, seeds: Mapping[int, Rows]) -> dict[str, Any]:
    """All that is stored of a recipe."""
    rows = list(seeds.values())
    pairs = [("student", "control"), ("student", "teacher")]
    pairs += [(name, "student") for name in rows[0] if name.startswith(INT8)]
    return {
        "metric": metric.scale._asdict(),
        "test_samples": len(rows[0]["teacher"]),
        "test": {
            str(seed): {name: metric.value(each) for name, each in found.items()}
            for seed, found in seeds.items()
        },
        "differences": {f"{a} - {b}": compare(metric, rows, a, b) for a, b in pairs},
    }


def make_table(recipes_found: Mapping[str, Any]) -> str:
    """The results as a table in Markdown: mean scores, and the differences with their intervals."""
    engines = sorted({n for r in recipes_found.values() for n in _means(r) if n.startswith(INT8)})
    models = ["teacher", "control", "student", *engines]
    pairs = ["student - control", *(f"{name} - student" for name in engines)]
    lines = ["| " + " | ".join(["recipe, score", *models, *pairs]) + " |"]
    lines.append("|" + "---|" * (1 + len(models) + len(pairs)))
    for name, found in recipes_found.items():
        scale, means = Scale(**found["metric"]), _means(found)
        cells = [f"{name}, {scale.name}"]
        cells += [value_text(scale, means[m]) if m in means else "" for m in models]
        cells += [_tell(found["differences"].get(pair)) for pair in pairs]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _means(found: Mapping[str, Any]) -> dict[str, float]:
    each = list(found["test"].values())
    return {name: statistics.fmean(row[name] for row in each) for name in each[0]}


def _tell(difference: Mapping[str, Any] | None) -> str:
    if difference is None:
        return ""
    text = f"{difference['mean']:+.2g}"
    if difference["ci95"] is not None:
        text += " ({:+.2g} to {:+.2g})".format(*difference["ci95"])
    text = f"{text}: {difference['verdict']}"
    if (inside := difference.get(WITHIN)) is None:
        return text
    words = {"yes": "within", "no": "beyond"}.get(inside, "perhaps within")
    return f"{text}, {words} {MOST_PERCENT} %"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipes", type=Path, nargs="*")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "result.json")
    asked = parser.parse_args()
    options = run.Options(run_dir=Path("runs"), store=asked.store or run.default_store())
    for path in asked.recipes:
        seeds: dict[int, Rows] = {}
        for seed in asked.seeds:
            recipe = recipes.load(path, [f"seed={seed}", f"student_seed={seed}", *asked.sets])
            metric, seeds[seed] = score_models(recipe, path.parent, options)
            result = json.loads(asked.output.read_text()) if asked.output.exists() else {}
            words = ["python benchmarks/tasks/measure.py", str(path), "--seeds", *map(str, seeds)]
            words += [f"--set {each}" for each in asked.sets]
            result[recipe.name] = {"command": " ".join(words), **summarize(metric, seeds)}
            asked.output.write_text(json.dumps(result, indent=1) + "\n")
    if asked.output.exists():
        print(make_table(json.loads(asked.output.read_text())))


if __name__ == "__main__":
    main()
