"""Several students of one kind, each with a result of ``run.py``: what int8 costs each tool on average.

    python benchmarks/quantization/seeds.py result-0.json result-1.json result-2.json --output seeds.json

For each row and engine: points to the float model, and, beside the first of our rows, points of that row
above it; means over the students with their 95 % intervals (Student's t). ``best peer`` is, student by
student, the most accurate row that is not ours: the hardest rival, chosen with its test accuracy known.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from statistics import stdev
from typing import Any

from scipy.stats import t

ENGINES = ("onnxruntime", "openvino")


def summary(points: Sequence[float]) -> dict[str, Any]:
    """Mean, its 95 % interval and the values; no interval of fewer than two."""
    if len(points) < 2:
        return {"mean": mean(points), "ci95": None, "values": list(points)}
    half = float(t.ppf(0.975, len(points) - 1)) * stdev(points) / math.sqrt(len(points))
    centre = mean(points)
    return {"mean": centre, "ci95": [centre - half, centre + half], "values": list(points)}


def accuracies(result: dict[str, Any], engine: str) -> dict[str, float]:
    """In percent, by row."""
    rows = result["rows"]
    return {row["name"]: 100 * row[engine]["accuracy"] for row in rows if "accuracy" in row[engine]}


def compared(results: Sequence[dict[str, Any]], engine: str) -> dict[str, Any]:
    """Every row that all results have."""
    told = [accuracies(result, engine) for result in results]
    names = [name for name in told[0] if all(name in one for one in told) and name != "float"]
    mine = [row["name"] for row in results[0]["rows"] if row.get("ours") and row["name"] in names]
    rivals = [n for n in names if n not in mine and not n.startswith("float")]
    found: dict[str, Any] = {
        name: {"to_float": summary([one[name] - one["float"] for one in told])} for name in names
    }
    if mine and rivals:
        for name in rivals:
            gains = [one[mine[0]] - one[name] for one in told]
            found[name][f"{mine[0]} above it"] = summary(gains)
        gains = [one[mine[0]] - max(one[name] for name in rivals) for one in told]
        found["best peer"] = {f"{mine[0]} above it": summary(gains)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    results = [json.loads(path.read_text()) for path in asked.results]
    found = {engine: compared(results, engine) for engine in ENGINES}
    text = json.dumps({"students": len(results), **found}, indent=1)
    print(text)
    if asked.output:
        asked.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
