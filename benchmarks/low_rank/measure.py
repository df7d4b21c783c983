"""Low rank that pays: a wide student to a measured speed-up, its accuracy won back by distillation.

    python benchmarks/low_rank/measure.py STUDENT DATA [--speedup 1.5] [--epochs 3] [--output RESULT.json]

STUDENT is a folder with blueprint.json, weights.safetensors and resolved.json (what a learning step and its
`tune` step give), DATA the start of the paths of a `data` step's result (``runs/x/data_`` for
``runs/x/data_train``). The stage `factorize` splits the student for ONNX Runtime on one thread; the
stage `distil` lets it learn from the labels and from the dense student (or ``--teacher``); both are timed side
by side in fresh processes, on one thread and on two (``--time-again RESULT``: only that, on a quiet machine). Without ``--epochs`` (0) only the first part runs: what
the table says of each layer, and the reasons of a model that stays dense.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from edgekd.bench import lookup
from edgekd.learn import blueprint
from edgekd.learn.evaluation import read_split
from edgekd.learn.export import to_onnx
from edgekd.learn.losses import LOSSES
from edgekd.learn.settings import Term
from edgekd.learn.settings import Training
from edgekd.learn.view_settings import Views
from edgekd.named_member import NamedMember
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import distil
from edgekd.stages import factorize

PROCESSES = 8
MODEL = ("blueprint.json", "weights.safetensors")
Files = dict[str, Path]


class Told(Silent):
    """Notes on stderr, with the time."""

    def note(self, text: str) -> None:
        """One line."""
        print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def context(folder: Path, seed: int) -> Context:
    kept = folder / "checkpoints"
    kept.mkdir(parents=True)
    return Context(folder=folder, checkpoints=kept, seed=seed, progress=Told())


def splits(data: str) -> Files:
    """The files of a `data` step by their names."""
    found = {name: Path(f"{data}{name}") for name in ("train", "validation", "test")}
    about = Path(f"{data}data")
    return {**found, "data": about if about.exists() else Path(f"{data}data.json")}


def test_accuracy(model: Path, given: Files) -> float:
    """Top-1 in float32 on the test split."""
    return read_split(given, "test").score(blueprint.load(*(model / name for name in MODEL)))


def timed(student: Path, table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The student as it came and split as `table` says, on ONNX Runtime: milliseconds, their ratio with its
    95 % interval, bytes. Weights do not count here, so those of the split one are not trained."""
    plan = blueprint.read(student / MODEL[0])
    dense, split = (blueprint.load(*(student / name for name in MODEL)) for _ in range(2))
    wanted = ("path", "structure", "ranks")
    rows = [{k: row[k] for k in wanted} for row in table["layers"] if row["decision"] == "split"]
    split = blueprint.apply_edit(split, {"name": "factorize", "layers": rows}, plan)
    files = [
        to_onnx.write(model, folder / f"{name}.onnx", plan.interface)
        for name, model in (("dense", dense), ("split", split))
    ]
    found: dict[str, Any] = {"file_bytes": [path.stat().st_size for path in files]}
    for threads in (1, 2):
        how = lookup.LookupSettings("onnxruntime", threads=threads)
        found[f"{threads} threads"] = lookup.time_pairs(*files, how, PROCESSES)._asdict()
    return found


def recovered(start: Path, given: Files, asked: argparse.Namespace, folder: Path) -> None:
    """`folder` filled with the model at `start` after distillation."""
    plan = blueprint.read(start / MODEL[0])
    losses = [({"name": "cross-entropy"}, 0.1), ({"name": "kd", "temperature": 4.0}, 0.9)]
    config = distil.DistilConfig(
        model=NamedMember(name=plan.builder, arguments=plan.arguments),
        losses=tuple(Term(loss=NamedMember.parse(n, LOSSES, "loss"), weight=w) for n, w in losses),
        knowledge="online",
        train=Training(epochs=asked.epochs, learning_rate=asked.learning_rate),
        views=Views(flip=True, crop=2),
        views_seed=0,
    )
    teacher = asked.teacher or asked.student
    names = dict(zip(("blueprint", "weights"), MODEL, strict=True))
    given = given | {"resolved": asked.student / "resolved.json"}
    given |= {f"teacher_{what}": teacher / name for what, name in names.items()}
    given |= {f"start_{what}": start / name for what, name in names.items()}
    distil.run(config, given, context(folder, asked.seed))


def measured(asked: argparse.Namespace, work: Path) -> dict[str, Any]:
    given = splits(asked.data)
    start = {f"start_{n.partition('.')[0]}": asked.student / n for n in MODEL}
    config = factorize.FactorizeConfig(
        speedup=asked.speedup, samples=asked.samples, runtime="onnxruntime", threads=1
    )
    began = time.monotonic()
    made = factorize.run(config, given | start, context(work / "split", asked.seed))
    report: dict[str, Any] = {
        "factorize_s": time.monotonic() - began,
        "table": json.loads(made[factorize.TABLE].read_bytes()),
        "test_accuracy": {"dense": test_accuracy(asked.student, given)},
    }
    if report["table"]["status"] == "dense":
        return report
    report["test_accuracy"]["split"] = test_accuracy(work / "split", given)
    if asked.epochs:
        began = time.monotonic()
        recovered(work / "split", given, asked, work / "recovered")
        report["recovery_s"] = time.monotonic() - began
        report["test_accuracy"]["recovered"] = test_accuracy(work / "recovered", given)
    report["onnxruntime"] = timed(asked.student, report["table"], work)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("student", type=Path)
    parser.add_argument("data", help="path prefix, up to train")
    parser.add_argument("--teacher", type=Path, help="folder; the dense student itself otherwise")
    parser.add_argument("--speedup", type=float, default=1.5)
    parser.add_argument("--samples", type=int, default=512, help="that calibrate")
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--learning-rate", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-again", type=Path, help="only take the times of this result anew")
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        if asked.time_again:
            report = json.loads(asked.time_again.read_text())
            report["onnxruntime"] = timed(asked.student, report["table"], Path(folder))
        else:
            report = {"command": "python " + " ".join(sys.argv), **measured(asked, Path(folder))}
    text = json.dumps(report, indent=1)
    print(text)
    if asked.output:
        asked.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
