"""A small causal language model by its large teacher, beside the same model by labels alone, over rates and seeds.

    python benchmarks/causal_lm/measure.py rates seeds policy summary examples/causal-lm/recipe.yaml --output benchmarks/causal_lm/result.json
    python benchmarks/causal_lm/measure.py rates seeds summary examples/causal-lm/recipe.yaml --epochs 4 --rates 0.0002 0.0005 0.001 --output benchmarks/causal_lm/longer.json

`rates`: student and control of seed 0 with every one of the rates; each takes the one with the fewest bits per byte on the
validation split. `seeds`: both with seeds 0, 1 and 2, the control with the student's rate, too. `policy`: the student of seed 0 goes on, on data and
on its own samples, with the same loss and rate. `summary`: differences and their intervals, from the rows.

Rows that are there are not measured again. `--train` makes the models of the parts and judges none. Bits per byte of `test`
are those of the first `BLOCKS` blocks of the test split, in float32; `nats` is what each takes, for comparisons in pairs. All models begin
with the same layers of the teacher, see the same batches of a seed, and as many. `seconds` are those of the whole step.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import statistics
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student_t

from edgekd import run
from edgekd.bench.machine import fingerprint
from edgekd.display import make_display
from edgekd.learn import blueprint
from edgekd.learn.complexity import count_parameters
from edgekd.learn.evaluation import read_split
from edgekd.plan import learning
from edgekd.plan import roles
from edgekd.plan import student
from edgekd.recipe import Recipe
from edgekd.recipe import load_mapping
from edgekd.recipe import text as recipe_text
from edgekd.stage import Bindings
from edgekd.walk import Walker
from edgekd.walk import open_store

RATES, SEEDS, BLOCKS = (0.0001, 0.0002, 0.0005), (0, 1, 2), 64
ARMS = ("control", "student")
GOING_ON: dict[str, Any] = {"epochs": 1, "learning_rate": 0.0001, "schedule": "cosine"}
"""The step of `policy`, beside what the first one says."""
POLICIES: dict[str, Any] = {
    "goes on, on data": {"losses": ["jsd"]},
    "goes on, half on its own samples": {
        "losses": ["jsd"],
        "scheme": {"name": "on-policy", "prompt_tokens": 96, "share": 0.5},
    },
}
DRAWS = 10_000
"""Of the bootstrap over blocks."""


class Bench:
    """What the stages make of one recipe's variants, each once."""

    def __init__(
        self, path: Path, options: run.Options, walker: Walker, epochs: int | None
    ) -> None:
        self.value: dict[str, Any] = dict(recipe_text.read(path).value)  # type: ignore[call-overload]
        self.folder, self.options, self.walker = path.parent, options, walker
        self.value["learn"] = [each for each in self.value["learn"] if each["step"] == "distil"]
        if epochs is not None:
            self.value["student"]["train"]["epochs"] = epochs
        self.value["targets"] = [{"runtime": "onnxruntime", "precision": ["fp32"], "threads": [1]}]

    def vary(self, rate: float, seed: int, policy: dict[str, Any] | None = None) -> Recipe:
        """The recipe at another rate and seed, with one step more where a policy says which."""
        value = copy.deepcopy(self.value)
        value["student"]["train"]["learning_rate"] = rate
        value["learn"][0].pop("train", None)
        value["student_seed"] = seed
        if policy is not None:
            going_on = {**value["student"]["train"], **GOING_ON}
            value["learn"].append({"step": "distil", "train": going_on, **policy})
        return load_mapping(value, self.folder)

    def make(self, recipe: Recipe, label: str) -> None:
        """Walk to the step of that label by what it takes."""
        taught = learning.steps(recipe, self.folder, (), self.options)
        steps = [*taught, *student.steps(recipe, (), self.options)]
        needed = {label, "data"}
        for step in reversed(steps):
            if step.label in needed:
                needed |= {maker for maker, _ in step.takes.values()}
        for step in steps:
            if step.label in needed:
                self.walker.run_step(step)

    def read_validation(self, label: str) -> float:
        """The score of a step's model as the step found it."""
        return float(json.loads(self.walker.path(label, "score.json").read_bytes())["score"])

    def judge(self, label: str) -> dict[str, Any]:
        """The scores of a step's model; `seconds` are those in which the step was made."""
        walker = self.walker
        given = {name: walker.path("data", name) for name in ("validation", "test")}
        given["data"] = walker.path("data", "data.json")
        test = read_split(given, "test")
        test = test._replace(rows={name: each[:BLOCKS] for name, each in test.rows.items()})
        files = (walker.path(label, name) for name in ("blueprint.json", "weights.safetensors"))
        model = blueprint.load(*files)
        rows = test.score_rows(model)
        return {
            "validation": read_split(given).score(model),
            "test": test.task.score.value(rows),
            "parameters": count_parameters(model),
            "seconds": walker.entries[label].made.took_s,
            "tokens": int(rows[:, 1].sum()),
            "bytes": [int(each) for each in rows[:, 2]],
            "nats": [round(float(each), 2) for each in rows[:, 0]],
        }


def measure(
    bench: Bench,
    part: str,
    rows: list[dict[str, Any]],
    rates: Sequence[float],
    *,
    judges: bool,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a part that are not there; without figures of the test split where nobody judges."""
    done = {(row["row"], row["rate"], row["seed"]) for row in rows}
    if part == "rates":
        wanted = [(arm, rate, 0) for rate in rates for arm in ARMS]
        wanted += [("teacher", 0.0, 0), ("untrained", 0.0, 0)] if judges else []
    elif part == "seeds":
        best = {arm: find_best_rate(rows, arm) for arm in ARMS}
        wanted = [(arm, best[arm], seed) for seed in SEEDS for arm in ARMS]
        wanted += [("control", best["student"], seed) for seed in SEEDS]
    else:
        wanted = [(name, find_best_rate(rows, "student"), 0) for name in POLICIES]
    for name, rate, seed in wanted:
        if (name, rate, seed) in done:
            continue
        recipe = bench.vary(rate or rates[0], seed, POLICIES.get(name))
        labels = {"teacher": "teacher", "untrained": roles.LOADED, "control": "control"}
        label = labels.get(name) or roles.float_label(recipe)
        bench.make(recipe, label)
        told = bench.judge(label) if judges else {"validation": bench.read_validation(label)}
        yield {"row": name, "rate": rate, "seed": seed, **told}


def find_best_rate(rows: list[dict[str, Any]], arm: str) -> float:
    """The rate at which seed 0 has the fewest bits per byte on the validation split."""
    tried = {
        row["rate"]: row["validation"] for row in rows if (row["row"], row["seed"]) == (arm, 0)
    }
    return float(min(sorted(tried), key=lambda rate: tried[rate]))


def summarize(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Student less control over seeds, each seed's own interval over blocks, and who goes on beside the others."""
    by = {(row["row"], row["rate"], row["seed"]): row for row in rows}
    best = {arm: find_best_rate(rows, arm) for arm in ARMS}
    found: dict[str, Any] = {
        "best_rate": best,
        "student_less_control": compare_seeds(by, best["student"], best["control"]),
        "student_less_control_at_one_rate": compare_seeds(by, best["student"], best["student"]),
    }
    going = [by[name, best["student"], 0] for name in POLICIES if (name, best["student"], 0) in by]
    start = by["student", best["student"], 0]
    for row in going:
        found[row["row"]] = {
            "less_where_it_began": row["test"] - start["test"],
            "ci95_over_blocks": compare_blocks(row, start),
        }
    if len(going) == 2:
        found["own_samples_less_data"] = {
            "difference": going[1]["test"] - going[0]["test"],
            "ci95_over_blocks": compare_blocks(going[1], going[0]),
        }
    return found


def compare_seeds(
    by: dict[tuple[str, float, int], dict[str, Any]], rate: float, other_rate: float
) -> dict[str, Any]:
    """Bits per byte of the student less those of the control, by seed, with 95 % intervals."""
    pairs = [(by["student", rate, seed], by["control", other_rate, seed]) for seed in SEEDS]
    each = [ours["test"] - theirs["test"] for ours, theirs in pairs]
    mean = statistics.mean(each)
    half = student_t.ppf(0.975, len(each) - 1) * statistics.stdev(each) / math.sqrt(len(each))
    return {
        "each": each,
        "mean": mean,
        "ci95_over_seeds": [mean - half, mean + half],
        "ci95_over_blocks": [compare_blocks(*pair) for pair in pairs],
    }


def compare_blocks(one: dict[str, Any], other: dict[str, Any]) -> list[float]:
    """95 % interval of the difference in bits per byte, a paired bootstrap over the test split's blocks."""
    sizes = np.array(one["bytes"])
    apart = (np.array(one["nats"]) - np.array(other["nats"])) / math.log(2)
    drawn = np.random.default_rng(0).integers(0, len(sizes), (DRAWS, len(sizes)))
    low, high = np.quantile(apart[drawn].sum(1) / sizes[drawn].sum(1), [0.025, 0.975])
    return [float(low), float(high)]


def write(path: Path, result: dict[str, Any]) -> None:
    """A row a line."""
    rows = ",\n  ".join(json.dumps(row) for row in result["rows"])
    others = json.dumps({key: each for key, each in result.items() if key != "rows"}, indent=1)
    path.write_text(f'{others[:-2]},\n "rows": [\n  {rows}\n ]\n}}\n')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=("rates", "seeds", "policy", "summary"))
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--epochs", type=int, help="in place of the recipe's")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    said = parser.parse_args()
    output = said.output.resolve()
    options = run.Options(run_dir=Path("runs"), store=(said.store or run.default_store()).resolve())
    result: dict[str, Any] = json.loads(output.read_text()) if output.exists() else {"rows": []}
    longer = [] if said.epochs is None else ["--epochs", str(said.epochs)]
    tried = [] if said.rates == RATES else ["--rates", *map(str, said.rates)]
    place = ["--output", f"benchmarks/causal_lm/{output.name}"]
    asked = [*said.parts, "examples/causal-lm/recipe.yaml", *longer, *tried, *place]
    result["command"] = " ".join(["python benchmarks/causal_lm/measure.py", *asked])
    os.chdir(said.recipe.parent)
    with open_store(options) as store, make_display(quiet=False, verbose=True) as progress:
        here = fingerprint.machine_key()
        walker = Walker(store, options, progress, Bindings(here, here))
        bench = Bench(Path(said.recipe.name), options, walker, said.epochs)
        for part in said.parts:
            if part == "summary":
                result["summary"] = summarize(result["rows"])
                write(output, result)
                continue
            for row in measure(bench, part, result["rows"], said.rates, judges=not said.train):
                print({k: v for k, v in row.items() if k not in ("nats", "bytes")}, flush=True)
                result["rows"].append(row)
                if not said.train:
                    write(output, result)


if __name__ == "__main__":
    main()
