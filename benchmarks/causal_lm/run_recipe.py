"""The recipe of a causal language model as a user runs it: what it came to, how long each step took, what a second run costs.

    python benchmarks/causal_lm/run_recipe.py examples/causal-lm/recipe.yaml RUNS --output benchmarks/causal_lm/recipe_run.json

RUNS holds the store and the run folder; what is in the store is not made again, so that a run that was interrupted goes on,
and each step's time is that of when it was made.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

COMMAND = "python benchmarks/causal_lm/run_recipe.py examples/causal-lm/recipe.yaml RUNS --output benchmarks/causal_lm/recipe_run.json"
PROMPTS = ("This package contains the", "A library for reading and writing")
TOKENS = 24


def call(*arguments: str, folder: Path | None = None) -> tuple[str, float]:
    """What edgekd prints, and the seconds that it took."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "edgekd", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout, round(time.monotonic() - began, 2)


def describe_candidate(row: dict[str, Any]) -> dict[str, Any]:
    """The figures of a row of result.json that are compared."""
    names = ("name", "sizes", "score", "latency_p50_ms", "peak_rss_bytes", "size_bytes", "status")
    return {name: row.get(name) for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    said = parser.parse_args()
    runs = said.runs.resolve()
    run = str(runs / "run")
    again = ("compress", said.recipe.name, "--store", str(runs / "store"), "--run-dir", run)
    call(*again, folder=said.recipe.parent)
    _, unchanged_s = call(*again, folder=said.recipe.parent)
    result = json.loads((runs / "run" / "result.json").read_text())
    bundle = sorted((runs / "run" / "bundle").iterdir())
    _, verify_s = call("verify", run)
    _, genai_s = call("bundle", run, "--genai", "--replace", "-o", str(runs / "genai"))
    written, predict_s = call("predict", run, *PROMPTS, "--tokens", str(TOKENS), "--json")
    models = {
        name: {
            figure: result[name][figure] for figure in ("score", "score_ci95", "validation_score")
        }
        for name in ("teacher", "control", "student")
    }
    rows = [*result["candidates"], *result["references"]]
    steps = {label: step["took_s"] for label, step in result["lineage"].items()}
    found = {
        "command": COMMAND,
        "metric": result["metric"],
        "models": models,
        "quantized": {name: each["score"] for name, each in result["quantized"].items()},
        "chosen": result["chosen"],
        "rows": [describe_candidate(row) for row in rows],
        "bundle_bytes": {path.name: path.stat().st_size for path in bundle},
        "steps_s": steps,
        "all_steps_s": round(sum(steps.values()), 1),
        "unchanged_run_s": unchanged_s,
        "verify_s": verify_s,
        "genai_folder_s": genai_s,
        "predict_s": predict_s,
        "written": [{key: each[key] for key in ("input", "text")} for each in json.loads(written)],
        "machine": {
            "cpu": result["environment"]["cpu_model"],
            "cores": result["environment"]["cores"],
            "warnings": result["machine"]["warnings"],
        },
    }
    said.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
