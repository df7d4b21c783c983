"""A choice by the length of a text beside one file for all lengths: the bundle of a whole run, timed again as it ships.

    python benchmarks/by_size/measure.py --folder /tmp/by-size

An encoder of bytes (4 layers, width 256) learns sections of Debian packages from texts of 8 to 256 bytes, becomes int8,
and is timed at 16, 64 and 256 bytes on ONNX Runtime and OpenVINO, one thread. `by_size.json` holds what the run chose,
and each file of its bundle at each length, measured once more in processes that take turns, beside the one for all.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from edgekd import bundle
from edgekd.bench import session
from edgekd.bench import sized_calls
from edgekd.bench.engine import Engine
from edgekd.bench.machine import host
from edgekd.bench.statistics import summarize_processes
from edgekd.bundle import engine as bundle_engine
from edgekd.bundle import models as bundle_models
from edgekd.bundle.models import BundledModel

HERE = Path(__file__).parent
DESCRIPTIONS = HERE.parents[1] / "examples" / "package-sections" / "packages.jsonl.gz"
SIZES = (16, 64, 256)
COUNT = 900
TRAIN = {
    "epochs": 1,
    "batch_size": 32,
    "optimizer": "adamw",
    "learning_rate": 0.001,
    "precision": "fp32",
    "channels_last": False,
    "threads": 1,
}
RECIPE: dict[str, Any] = {
    "name": "by-size",
    "seed": 0,
    "data": {"source": {"name": "jsonl", "reference": "texts.jsonl", "longest": SIZES[-1]}},
    "views": {"count": 1},
    "student": {
        "model": {"name": "text-encoder", "layers": 4, "width": 256, "heads": 4},
        "train": TRAIN,
    },
    "learn": [
        {"step": "distil", "losses": ["cross-entropy"]},
        {"step": "quantize", "calibration": "min-max", "train": None},
    ],
    "targets": [
        {"runtime": "onnxruntime", "precision": ["fp32", "int8"], "threads": [1]},
        {"runtime": "openvino", "precision": ["fp32", "bf16", "int8"], "threads": [1]},
    ],
    "measure": {
        "sizes": {"text_length": list(SIZES)},
        "min_time_s": 0.05,
        "max_time_s": 0.2,
        "processes_max": 8,
    },
}


def make_texts() -> Iterator[dict[str, str]]:
    """Yield texts of one section each: a third cut to 16 bytes, a third to 64, a third joined to 256."""
    with gzip.open(DESCRIPTIONS, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    by_label: dict[str, list[str]] = {}
    for row in rows:
        by_label.setdefault(row["label"], []).append(row["text"])
    for number in range(COUNT):
        label = sorted(by_label)[number % len(by_label)]
        texts, start = by_label[label], number // len(by_label)
        joined = "; ".join(texts[(start + at) % len(texts)] for at in range(8))
        yield {
            "text": joined[: SIZES[number // len(by_label) % len(SIZES)]].strip(),
            "label": label,
        }


def time_engines(folder: Path, scratch: Path) -> dict[str, Any]:
    """Each bucket's engine and the one for all, at each size: median ms, its interval, and how many times faster."""
    found = bundle.load_bundle(folder)
    usual = bundle_models.usual_model(found)
    models = bundle_models.models_by_size(found) or [usual]
    bounds = bundle_models.list_bounds(found)
    usual_sizes = sized_calls.usual_sizes(found.interface, found.golden)
    calls = {}
    for size in SIZES:  # planned beside another size, so that the usual one is not left out
        beside = dict.fromkeys(usual_sizes, 1)
        (call,) = sized_calls.plan_sized_calls({"text_length": [size]}, found.interface, beside)
        calls[size] = call
    subjects, pairs = [], {}
    for size, call in calls.items():
        number = sum(size > bound for bound in bounds)
        names = []
        for role, model in (("one for all", usual), ("by size", models[number])):
            engine = _prepare(model, scratch / f"{size}-{role.replace(' ', '-')}")
            names.append(f"{role} {size}")
            subjects.append(session.Subject(names[-1], engine, call=call))
        same = models[number].chosen.name == usual.chosen.name
        pairs[size] = (*names, models[number].chosen.name, same)
    rules = session.Rules(processes_min=12, processes_max=12, budget_s=340.0)
    done = {each.subject.name: each for each in session.measure_subjects(subjects, rules)}
    rows = []
    for size, (one, other, name, same) in pairs.items():
        figures: dict[str, Any] = {}
        for role, subject in (("one_for_all", one), ("by_size", other)):
            summary = summarize_processes(done[subject].medians_ns())
            figures[f"{role}_ms"] = summary.value / 1e6
            interval = summary.interval
            figures[f"{role}_ci95_ms"] = interval and [interval.low / 1e6, interval.high / 1e6]
        times = figures["one_for_all_ms"] / figures["by_size_ms"]
        surely_slower = (
            not same and figures["by_size_ci95_ms"][0] > figures["one_for_all_ci95_ms"][1]
        )
        rows.append(
            {
                "size": size,
                "engine": name,
                "is_one_for_all": same,
                **figures,
                "times_faster": times,
                "is_surely_slower": surely_slower,
            }
        )
    return {"one_for_all": usual.chosen.name, "rows": rows}


def _prepare(model: BundledModel, scratch: Path) -> Engine:
    scratch.mkdir()
    engine = bundle_engine.prepare_engine(model, None, scratch)
    if isinstance(engine, str):
        raise SystemExit(engine)
    return engine


def main() -> None:
    """Run the recipe, where the folder has no run yet; time its bundle; write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the run goes")
    parser.add_argument("--only-run", action="store_true", help="stop behind the run")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row) for row in make_texts()]
    (asked.folder / "texts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (asked.folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    verb = [sys.executable, "-m", "edgekd", "compress", "recipe.yaml", "--run-dir", "run"]
    subprocess.run([*verb, "--store", "store", "--quiet"], cwd=asked.folder, check=True)
    if asked.only_run:
        return
    run = json.loads((asked.folder / "run" / "result.json").read_bytes())
    with tempfile.TemporaryDirectory() as scratch:
        again = time_engines(asked.folder / "run" / "bundle", Path(scratch))
    models = (asked.folder / "run" / "bundle").glob("model*.onnx")
    here = host.describe_host()
    result = {
        "command": "python benchmarks/by_size/measure.py --folder /tmp/by-size",
        "processor": here.facts.get("cpu"),
        "versions": here.versions,
        "chosen": run["chosen"],
        "why": run["why"],
        "by_size": run.get("by_size"),
        "candidates": [
            {key: row.get(key) for key in ("name", "score", "float_agreement", "latency_p50_ms")}
            for row in run["candidates"]
        ],
        "bundle_bytes": {path.name: path.stat().st_size for path in sorted(models)},
        "again": again,
    }
    text = json.dumps(result, indent=1, sort_keys=True) + "\n"
    (HERE / "by_size.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
