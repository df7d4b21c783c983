"""An engine for each length of a text beside one for all lengths: the real all-MiniLM-L6-v2, four engines of it.

    python benchmarks/by_size/measure.py make MINILM_FOLDER WORK_FOLDER
    python benchmarks/by_size/measure.py choose WORK_FOLDER
    python benchmarks/by_size/measure.py again WORK_FOLDER

`make` exports the encoder (pooled, of length 1) and quantizes it with ONNX Runtime's own tools: dynamic per channel, and
static as it comes. `choose` asks each engine for the vectors of real texts, refuses what lies below the task's least
agreement with the float vectors, times the others at 16, 64 and 256 tokens and chooses as a run does. `again` times what
was chosen beside the one for all in fresh processes that take turns. Lengths count by the titles and bodies of
examples/sentence-encoder. `by_size.json` holds all of it. Stored: a machine under other load, where intervals meet and
the rule keeps one file; `again` was not carried out there.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.bench import session
from edgekd.bench.answers import Answers
from edgekd.bench.answers import refuse_below_floor
from edgekd.bench.budget import Budget
from edgekd.bench.build import build_engine
from edgekd.bench.call import CallPlan
from edgekd.bench.call import InputPlan
from edgekd.bench.candidate import Candidate
from edgekd.bench.engine import Engine
from edgekd.bench.machine import host
from edgekd.bench.outputs import compute_outputs
from edgekd.bench.outputs import write_inputs
from edgekd.bench.rows import blank_row
from edgekd.bench.rows import fill_row
from edgekd.bench.rows import resize_row
from edgekd.bench.statistics import summarize_processes
from edgekd.bench.status import OK
from edgekd.bench.status import Status
from edgekd.bench.timing import Steady
from edgekd.bench.timing import WarmUp
from edgekd.dataset import Dataset
from edgekd.runtime import Precision
from edgekd.stages.choose import choose_row
from edgekd.task import Scale
from edgekd.tasks import sentence_embedding

HERE = Path(__file__).parent
PAIRS = HERE.parents[1] / "examples" / "sentence-encoder" / "pairs.jsonl.gz"
SIZES, USUAL, VOCABULARY = (16, 64, 256), 64, 30_522
DATA = Dataset(task="sentence-embedding", inputs={}, targets={})
ASKED, CALIBRATED = 64, 32
"""Texts whose vectors are compared, and those by which static ranges are found."""
CANDIDATES: tuple[tuple[str, Precision, str, str], ...] = (
    ("onnxruntime", "fp32", "", "float.onnx"),
    ("openvino", "bf16", "", "float.onnx"),
    ("onnxruntime", "int8", "dynamic", "dynamic.onnx"),
    ("onnxruntime", "int8", "static", "static.onnx"),
)
RULES = session.Rules(
    processes_min=6,
    processes_max=6,
    budget_s=200.0,
    warm_up=WarmUp(window_ns=20_000_000, max_ns=400_000_000),
    steady=Steady(min_ns=150_000_000, max_ns=300_000_000),
)


def read_texts(folder: Path, longest: int = SIZES[-1]) -> list[list[int]]:
    """The tokens of every title and body, cut to the longest size."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(longest)
    with gzip.open(PAIRS, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    texts = [row[name] for row in rows for name in ("title", "body")]
    return [each.ids for each in tokenizer.encode_batch(texts)]


def make(folder: Path, work: Path) -> None:
    """Write float.onnx, dynamic.onnx, static.onnx and texts.json."""
    import torch
    from onnxruntime.quantization import CalibrationDataReader
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization import quantize_dynamic
    from onnxruntime.quantization import quantize_static
    from transformers import AutoModel

    class Encoder(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = AutoModel.from_pretrained(folder, attn_implementation="eager")

        def forward(self, text: torch.Tensor, text_mask: torch.Tensor) -> torch.Tensor:
            states = self.inner(input_ids=text, attention_mask=text_mask).last_hidden_state
            mask = text_mask[..., None].to(states.dtype)
            mean = (states * mask).sum(1) / mask.sum(1)
            return torch.nn.functional.normalize(mean, dim=1)

    texts = read_texts(folder)
    work.mkdir(parents=True, exist_ok=True)
    (work / "texts.json").write_text(json.dumps(texts))
    ids = torch.ones(2, 7, dtype=torch.int64)
    torch.onnx.export(
        Encoder().eval(),
        (ids, ids),
        work / "float.onnx",
        dynamo=True,
        external_data=False,
        input_names=["text", "text_mask"],
        output_names=["vectors"],
        dynamic_shapes=[{0: "batch", 1: "text_length"}] * 2,
        opset_version=18,
    )
    quantize_dynamic(
        work / "float.onnx", work / "dynamic.onnx", per_channel=True, weight_type=QuantType.QInt8
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(texts[:CALIBRATED])

        def get_next(self) -> dict[str, np.ndarray] | None:
            tokens = next(self.left, None)
            return None if tokens is None else to_inputs([tokens])

    quantize_static(work / "float.onnx", work / "static.onnx", Reader(), per_channel=True)


def to_inputs(texts: list[list[int]]) -> dict[str, np.ndarray]:
    """Tokens filled up to the longest, and which of them count."""
    longest = max(map(len, texts))
    ids = np.array([each + [0] * (longest - len(each)) for each in texts], np.int64)
    mask = np.array([[1] * len(each) + [0] * (longest - len(each)) for each in texts], np.int64)
    return {"text": ids, "text_mask": mask}


def plan_call(size: int) -> CallPlan:
    """A call of so many tokens, all of which count."""
    shape = (None, size)
    inputs = {"text": InputPlan(shape, VOCABULARY), "text_mask": InputPlan(shape, None, 1.0)}
    return CallPlan(inputs, label=f"text_length={size}", sizes={"text_length": size})


def prepare(work: Path) -> list[tuple[Candidate, Engine, dict[str, Any]]]:
    """Each candidate with its engine and what its build says."""
    found = []
    for runtime, precision, profile, file in CANDIDATES:
        folder = work / f"{runtime}-{precision}-{profile}"
        folder.mkdir(exist_ok=True)
        built = build_engine(work / file, runtime, precision, folder, timeout_s=200.0, kernels=True)
        if "not_measured" in built:
            raise SystemExit(f"{runtime} {precision}: {built['not_measured']}")
        paths = {name: folder / each for name, each in built["files"].items()}
        engine = Engine(runtime, precision, 1, paths, tensors=f"int8-{profile}" if profile else "")
        candidate = Candidate(
            name=f"student-{engine.label()}",
            model="student",
            runtime=runtime,
            precision=precision,
            profile=profile,
            threads=(1,),
        )
        about = {"runtime_version": built["version"], "kernels": built["kernels"]}
        found.append((candidate, engine, {**about, "size_bytes": built["size_bytes"]}))
    return found


def choose(work: Path) -> dict[str, Any]:
    """Rows of all candidates at all sizes, and what is chosen of them."""
    texts = json.loads((work / "texts.json").read_text())
    lengths = np.array([len(each) for each in texts])
    bounds = np.searchsorted(SIZES[:-1], lengths)
    shares = {size: float((bounds == n).mean()) for n, size in enumerate(SIZES)}
    every = len(texts) // ASKED
    asked = sorted((texts[n * every] for n in range(ASKED)), key=len)
    inputs = write_inputs(to_inputs(asked), work / "asked.split")
    rows: list[dict[str, Any]] = []
    subjects: list[session.Subject] = []
    wanted = None
    for candidate, engine, about in prepare(work):
        vectors = compute_outputs(engine, inputs)["vectors"]
        wanted = vectors if wanted is None else wanted
        decided = [sentence_embedding.decide({"embedding": v}, DATA) for v in (vectors, wanted)]
        cosine = float(sentence_embedding.agree(*decided).mean())
        answers = Answers({"cosine": cosine}, None, None, cosine, Status())
        answers = refuse_below_floor(answers, cosine, sentence_embedding.TASK.least_agreement)
        name = engine.label()
        row = blank_row(name, candidate, engine, about, answers, {"text_length": USUAL})
        for size in (USUAL, *(size for size in SIZES if size != USUAL)):
            own = row if size == USUAL else resize_row(row, plan_call(size))
            rows.append({**own, "share": shares[size]})
            if answers.status.word == OK:
                subjects.append(session.Subject(own["name"], engine, call=plan_call(size)))
    done = {each.subject.name: each for each in session.measure_subjects(subjects, RULES)}
    rows = [fill_row(row, done.get(row["name"])) for row in rows]
    choice = choose_row(rows, Budget(), 1.0, [Scale("cosine")])
    return {"shares": shares, "rows": rows, "choice": choice}


def again(work: Path, chosen: dict[str, Any]) -> list[dict[str, Any]]:
    """The engine of each size beside the one for all, in turns."""
    engines = {engine.label(): engine for _, engine, _ in prepare(work)}
    buckets, one = chosen["by_size"]["buckets"], chosen["chosen"]
    subjects = []
    for each in buckets:
        for name in dict.fromkeys((one, each["row"])):
            call = plan_call(each["size"])
            subjects.append(session.Subject(f"{name} {each['size']}", engines[name], call=call))
    rules = RULES._replace(processes_min=8, processes_max=8)
    done = {each.subject.name: each for each in session.measure_subjects(subjects, rules)}
    rows = []
    for each in buckets:
        ours, theirs = (done[f"{name} {each['size']}"] for name in (each["row"], one))
        mine, its = (summarize_processes(found.medians_ns()) for found in (ours, theirs))
        low, high = (
            (its.interval.low / mine.interval.high, its.interval.high / mine.interval.low)
            if mine.interval and its.interval
            else (None, None)
        )
        rows.append(
            {
                "size": each["size"],
                "engine": each["row"],
                "ms": mine.value / 1e6,
                "one_for_all": one,
                "one_for_all_ms": its.value / 1e6,
                "times_faster": its.value / mine.value,
                "times_faster_ci95": [1.0, 1.0] if each["row"] == one else [low, high],
                "processes": len(ours.processes),
            }
        )
    return rows


def main() -> None:
    """Carry out one of the three steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("make", "choose", "again"))
    parser.add_argument("folders", nargs="+", type=Path)
    asked = parser.parse_args()
    work = asked.folders[-1]
    if asked.step == "make":
        make(asked.folders[0], work)
        return
    path = work / "chosen.json"
    if asked.step == "choose":
        path.write_text(json.dumps(choose(work), indent=1))
    found = json.loads(path.read_text())
    here = host.describe_host()
    kept = ("name", "status", "reason", "float_agreement", "size_bytes", "latency_p50_ms")
    result = {
        "command": "make MINILM_FOLDER WORK_FOLDER; choose WORK_FOLDER; again WORK_FOLDER",
        "machine": {name: here.facts.get(name) for name in ("cpu", "cores", "arch")},
        "versions": here.versions,
        "shares": found["shares"],
        "rows": [
            {name: row.get(name) for name in (*kept, "latency_ci95_ms", "sizes")}
            for row in found["rows"]
        ],
        "choice": {name: found["choice"].get(name) for name in ("chosen", "why", "by_size")},
        "again": again(work, found["choice"]) if asked.step == "again" else None,
    }
    text = json.dumps(result, indent=1) + "\n"
    (HERE / "by_size.json").write_text(text, encoding="utf-8")
    print(found["choice"]["why"], json.dumps(result["again"], indent=1))


if __name__ == "__main__":
    main()
