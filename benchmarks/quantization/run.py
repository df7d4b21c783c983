"""The same trained student made int8 by edgekd and by its peers: accuracy, speed, size, effort; one table.

    python benchmarks/quantization/environments.py ENVIRONMENTS
    python benchmarks/quantization/prepare.py STUDENT DATA FOLDER
    python benchmarks/quantization/run.py FOLDER ENVIRONMENTS --ours ours.json --output result.json

What a tool left in FOLDER/made is taken as it is; `--only make` ends there. Every file answers all test
images on each engine, then all files of one engine and thread count take turns in fresh processes.
``ours.json`` is a list of rows: ``{"name", "onnxruntime": FILE, "openvino": FILE, "seconds", "lines"}``,
paths beside it. Beside result.json comes the table, result.md. Exit code 1: a row is missing and does
not say why.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import measure
from make import make
from measure import ENGINES
from measure import FLOAT
from measure import Cells
from measure import Model
from standing import standings
from table import markdown
from tools import TOOLS
from tools import Tool

ONLY_OPENVINO = "an OpenVINO model, for OpenVINO alone"


def float_models(folder: Path) -> list[Model]:
    """What all are measured against, and what OpenVINO makes of it in bfloat16."""
    path = folder / "model.onnx"
    no_bf16 = "not offered on x86"
    return [
        Model(FLOAT, dict.fromkeys(ENGINES, path), {}),
        Model("float, bf16 hint", {"onnxruntime": no_bf16, "openvino": path}, {}, "bf16"),
    ]


def ours(listing: Path) -> list[Model]:
    """edgekd's rows; a file that is not there is an error here, not a gap in the table."""
    found = []
    for row in json.loads(listing.read_text()):
        files = {engine: (listing.parent / row[engine]).resolve() for engine in ENGINES}
        for path in files.values():
            if not path.exists():
                sys.exit(f"{listing}: got {path}, want a file")
        about = {key: value for key, value in row.items() if key not in (*ENGINES, "name")}
        found.append(Model(row["name"], files, {**about, "ours": True}))
    return found


def peer(tool: Tool, folder: Path, environments: Path) -> Model:
    """What `tool` makes of the student, or why it makes nothing."""
    print(f"{tool.name}: making", file=sys.stderr)
    about = make(tool, folder, environments)
    sizes = environments / "sizes.json"
    known = json.loads(sizes.read_text()) if sizes.exists() else {}
    kept = {key: about[key] for key in ("seconds", "cpu_seconds", "versions") if key in about}
    environment = known.get(tool.environment, {}).get("size_mib")
    kept |= {"lines": tool.lines(), "environment_mib": environment}
    if "failure" in about:
        return Model(tool.name, dict.fromkeys(ENGINES, about["failure"]), kept)
    path = about["path"]
    only = ONLY_OPENVINO if tool.goal.endswith(".xml") else path
    return Model(tool.name, {"onnxruntime": only, "openvino": path}, kept)


def rows(models: list[Model], cells: Cells) -> list[dict[str, Any]]:
    """The table, stored."""
    return [
        {
            "name": model.name,
            **model.about,
            **{e: measure.told(cells[model.name, e], cells[FLOAT, e]) for e in ENGINES},
        }
        for model in models
    ]


def missing(row: dict[str, Any], timed: bool) -> list[str]:
    """Engines on which a row has neither its numbers nor a reason."""
    wanted = ["accuracy"] + [f"{threads} threads" for threads in measure.THREADS if timed]
    return [e for e in ENGINES if "reason" not in row[e] and any(w not in row[e] for w in wanted)]


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("environments", type=Path)
    parser.add_argument("--ours", type=Path)
    parser.add_argument("--processes", type=int, default=12, help="of each file; 6 at least")
    parser.add_argument("--only", choices=("make", "accuracy"), help="stop after it")
    parser.add_argument("--output", type=Path, default=Path("result.json"))
    asked = parser.parse_args()
    models = float_models(asked.folder) + (ours(asked.ours) if asked.ours else [])
    models += [peer(tool, asked.folder, asked.environments) for tool in TOOLS.values()]
    if asked.only == "make":
        for model in models:
            note(f"{model.name}: {dict(model.files)} {dict(model.about)}")
        return
    timed = asked.only is None
    with tempfile.TemporaryDirectory() as scratch:
        cells = measure.opened(models, Path(scratch))
        measure.answer(cells, asked.folder, note)
        sample = asked.folder / "sample.npy"
        fit = measure.time_all(cells, sample, asked.processes, note) if timed else None
    found = rows(models, cells)
    result = {
        "command": "python benchmarks/quantization/run.py FOLDER ENVIRONMENTS --ours ours.json",
        "student": json.loads((asked.folder / "blueprint.json").read_text()),
        "machine": measure.machine(),
        "fit": fit,
        "processes": asked.processes,
        "rows": found,
        "standings": standings(models, cells),
    }
    asked.output.write_text(json.dumps(result, indent=1) + "\n")
    asked.output.with_suffix(".md").write_text(markdown(result))
    print(markdown(result))
    gaps = [f"{row['name']} on {', '.join(m)}" for row in found if (m := missing(row, timed))]
    if gaps:
        sys.exit(f"missing without a reason: {'; '.join(gaps)}")


if __name__ == "__main__":
    main()
