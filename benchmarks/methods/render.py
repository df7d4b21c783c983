"""Distillation methods on Fashion-MNIST: from the runs to results.json, README.md and plots.

    python benchmarks/methods/render.py WORK [--only-text]

WORK is what run.py filled, as far as it came. What ``edgekd methods NAME`` prints goes to
edgekd/cli/measured.json. ``--only-text`` makes tables, texts and plots anew from the runs in results.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections import Counter
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from compare import Difference
from compare import Row
from compare import deviation
from compare import difference
from compare import interval
from compare import moves
from compare import spread
from draw import plot
from text import readme
from words import CONTROL
from words import KD
from words import PAIRS
from words import SEEDS
from words import family
from words import methods

HERE = Path(__file__).parent
COMMAND = "python benchmarks/methods/run.py WORK; python benchmarks/methods/render.py WORK"
MEASURED = HERE.parents[1] / "edgekd/cli/measured.json"
COMMAND = (
    "OMP_NUM_THREADS=1 python benchmarks/methods/run.py WORK --rates, then the same without --rates"
)
PACKAGES = ("torch", "lightning-fabric", "numpy", "scipy")
DIGITS = 4


def runs(work: Path) -> list[Row]:
    """All rows, in the order in which methods stand in the tables."""
    names = list(methods())
    found = [json.loads(path.read_text()) for path in (work / "runs").glob("*.json")]
    known = [row for row in found if row["method"] in names and row["pair"] in PAIRS]
    place = {pair: number for number, pair in enumerate(PAIRS)}
    return sorted(known, key=lambda r: (place[r["pair"]], names.index(r["method"]), r["seed"]))


def compared(rows: list[Row]) -> tuple[list[Row], dict[str, float | None]]:
    """One line a method and pair, and by pair how far the difference of two of its own runs moves between
    seeds; None where too few have several."""
    by: dict[str, dict[str, dict[int, float]]] = {pair: {} for pair in PAIRS}
    for row in rows:
        if "test_accuracy" in row:
            seeds = by[row["pair"]].setdefault(row["method"], {})
            seeds[row["seed"]] = row["test_accuracy"]
    each = {pair: deviation(moves(found.values())) for pair, found in by.items()}
    lines = []
    for pair, found in by.items():
        for name in methods():
            own = [row for row in rows if (row["pair"], row["method"]) == (pair, name)]
            if own:
                seeds = found.get(name, {})
                lines.append({"pair": pair, **line(name, own, seeds)})
                for other, key in ((CONTROL, "control"), (KD, "kd")):
                    apart = difference(seeds, found.get(other, {}), each[pair])
                    lines[-1][key] = rounded(apart) if apart and name != other else None
    return lines, each


def line(name: str, own: list[Row], seeds: Mapping[int, float]) -> Row:
    """What a method's runs have in common."""
    accuracies = list(seeds.values())
    times = [row["cpu_step_s"] for row in own if "cpu_step_s" in row]
    flags = sorted({row["status"] for row in own} - {"trained"})
    return {
        "method": name,
        "family": family(name),
        "seeds": sorted(seeds),
        "mean": round(statistics.fmean(accuracies), DIGITS) if accuracies else None,
        "spread": spread(accuracies),
        "cpu_step_s": statistics.median(times) if times else None,
        "companion_parameters": max((r.get("companion_parameters", 0) for r in own), default=0),
        "student_parameters": max((r.get("student_parameters", 0) for r in own), default=0),
        "flags": {flag: sum(row["status"] == flag for row in own) for flag in flags},
        "error": next((row["error"] for row in own if "error" in row), None),
    }


def rounded(apart: Difference) -> Row:
    """For JSON."""
    return {k: None if v is None else round(v, DIGITS) for k, v in apart._asdict().items()}


def results(work: Path) -> Row:
    """Everything that is kept."""
    rows = runs(work)
    lines, each = compared(rows)
    short = [{k: v for k, v in row.items() if k != "layers"} for row in rows]
    teachers = {
        path.parent.name: json.loads(path.read_text())["score"]
        for path in sorted(work.glob("train-*/score.json"))
    }
    return {
        "command": COMMAND,
        "machine": {"cpu": cpu(), "cores": os.cpu_count(), "python": platform.python_version()},
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "teachers_validation_accuracy": named(work, teachers),
        "deviations": each,
        "wanted_runs": len(methods()) * len(PAIRS) * len(SEEDS),
        "rates": tuned(work),
        "lines": lines,
        "runs": short,
    }


def tuned(work: Path) -> dict[str, dict[str, float]]:
    """By pair the control's mean validation accuracy at each rate."""
    found = [json.loads(path.read_text()) for path in (work / "rates").glob("*.json")]
    table: dict[str, dict[str, float]] = {}
    for pair in PAIRS:
        for rate in sorted({row["rate"] for row in found if row["pair"] == pair}):
            scores = [
                row["validation_accuracy"]
                for row in found
                if (row["pair"], row["rate"]) == (pair, rate) and "validation_accuracy" in row
            ]
            if scores:
                table.setdefault(pair, {})[f"{rate:g}"] = round(statistics.fmean(scores), DIGITS)
    return table


def named(work: Path, teachers: Mapping[str, float]) -> Row:
    """By the builder's name."""
    plans = {n: json.loads((work / n / "blueprint.json").read_text()) for n in teachers}
    return {plans[name]["builder"]: value for name, value in teachers.items()}


def cpu() -> str:
    """The processor's own name."""
    for text in Path("/proc/cpuinfo").read_text().splitlines():
        if text.startswith("model name"):
            return text.split(":", 1)[1].strip()
    return platform.processor()


def measured(found: Row) -> Row:
    """What `edgekd methods` prints: accuracies and differences from the control and from kd, as fractions,
    each with its own interval where several seeds give one; and how many runs went wrong."""
    table: Row = {}
    runs = Counter((row["pair"], row["method"]) for row in found["runs"])
    for each in found["lines"]:
        if "," in each["method"]:
            continue
        control, kd = each["control"] or {}, each["kd"] or {}
        table.setdefault(each["method"], {})[each["pair"]] = {
            "mean": each["mean"],
            "control_difference": control.get("mean"),
            "kd_difference": kd.get("mean"),
            "interval": interval(control),
            "kd_interval": interval(kd),
            "seeds": len(each["seeds"]),
            "runs": runs[each["pair"], each["method"]],
            "flags": each["flags"],
            "error": each["error"],
        }
    pairs = {name: pair.about for name, pair in PAIRS.items()}
    return {"command": COMMAND, "methods": table, "pairs": pairs}


def compact(value: Row) -> str:
    """JSON of a table of tables and texts, sorted, with one line an entry."""
    parts = []
    for key, table in sorted(value.items()):
        if isinstance(table, str):
            parts.append(f"{json.dumps(key)}: {json.dumps(table)}")
            continue
        rows = (f"{json.dumps(k)}: {json.dumps(table[k], sort_keys=True)}" for k in sorted(table))
        parts.append(f"{json.dumps(key)}: {{\n" + ",\n".join(rows) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def one_a_line(found: Row) -> str:
    """results.json: its long lists one row a line, so that changes can be read."""
    parts = []
    for key, value in found.items():
        if isinstance(value, list):
            rows = ",\n".join(json.dumps(row) for row in value)
            parts.append(f"{json.dumps(key)}: [\n{rows}\n]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument("--only-text", action="store_true")
    parser.add_argument("--folder", type=Path, default=HERE)
    parser.add_argument("--measured", type=Path, default=MEASURED)
    asked = parser.parse_args()
    stored = asked.folder / "results.json"
    if asked.only_text:
        found = json.loads(stored.read_text())
        found["lines"], found["deviations"] = compared(found["runs"])
        stored.write_text(one_a_line(found))
    elif asked.work is None:
        parser.error("want WORK")
    else:
        found = results(asked.work)
        stored.write_text(one_a_line(found))
    drawn = [pair for pair in PAIRS if any(row["pair"] == pair for row in found["lines"])]
    for pair in drawn:
        (asked.folder / f"{pair}.svg").write_bytes(plot(found["lines"], pair))
    (asked.folder / "README.md").write_text(readme(found))
    asked.measured.write_text(compact(measured(found)))


if __name__ == "__main__":
    main()
