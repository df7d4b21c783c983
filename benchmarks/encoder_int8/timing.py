"""Vectors and times of files, engines in turns."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np
import sentences
from numpy.typing import NDArray

from edgekd.bench.machine import host
from edgekd.devices import local
from edgekd.runtimes import ort

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

LENGTHS = {16: 8, 64: 4, 256: 1}
"""Tokens, and calls a turn."""
WARM_UP = 3
Ask = Callable[[NDArray], NDArray]


class File(NamedTuple):
    """What is asked."""

    name: str
    path: str
    engine: str
    hint: str = "f32"
    """OpenVINO's, for what is not quantized."""
    plain: bool = False
    """With ONNX Runtime's own options, as peers' users run it."""


FILES = (
    File("float", "float.onnx", "onnxruntime", plain=True),
    File("float, this one's options", "float.onnx", "onnxruntime"),
    File("quantize_dynamic per channel", "ort-dynamic.onnx", "onnxruntime", plain=True),
    File("quantize_static defaults, per channel", "ort-static.onnx", "onnxruntime", plain=True),
    File("ours, calibrated", "ours-calibrated-onnxruntime.onnx", "onnxruntime"),
    File("ours, learned", "ours-learned-onnxruntime.onnx", "onnxruntime"),
    File("float", "float.onnx", "openvino"),
    File("float, bf16 hint", "float.onnx", "openvino", "bf16"),
    File("NNCF TRANSFORMER", "nncf.xml", "openvino"),
    File("NNCF TRANSFORMER, bf16 hint", "nncf.xml", "openvino", "bf16"),
    File("ours, calibrated", "ours-calibrated-openvino.onnx", "openvino"),
    File("ours, calibrated, bf16 hint", "ours-calibrated-openvino.onnx", "openvino", "bf16"),
    File("ours, learned", "ours-learned-openvino.onnx", "openvino"),
    File("ours, learned, bf16 hint", "ours-learned-openvino.onnx", "openvino", "bf16"),
)


def agreements(work: Path, held: list[NDArray]) -> list[dict[str, Any]]:
    """A row a file: its size, and its agreement with the float file's vectors."""
    want = _vectors(_open(work, FILES[0]), held)
    rows = []
    for one in present(work):
        size = (work / one.path).stat().st_size
        if one.path.endswith(".xml"):
            size += (work / one.path).with_suffix(".bin").stat().st_size
        rows.append(
            {"engine": one.engine, "file": one.name, "megabytes": round(size / 1e6, 1)}
            | sentences.agreement(_vectors(_open(work, one), held), want)
        )
    return rows


def present(work: Path) -> list[File]:
    """The files of the table that have been made."""
    return [one for one in FILES if (work / one.path).exists()]


def take_times(work: Path, rounds: int, seed: int) -> dict[str, list[float]]:
    """Milliseconds a call of each file in this process, files in turns in another order every round: by length, in
    the order of `present`."""
    asks = [_open(work, one) for one in present(work)]
    draw = np.random.default_rng(seed)
    found = {}
    for length, calls in LENGTHS.items():
        ids = draw.integers(1000, 30000, (1, length))
        for ask in asks:
            for _ in range(WARM_UP):
                ask(ids)
        times = np.empty((rounds, len(asks)))
        for row in times:
            for at in draw.permutation(len(asks)):
                begun = time.perf_counter()
                for _ in range(calls):
                    asks[at](ids)
                row[at] = (time.perf_counter() - begun) * 1e3 / calls
        found[str(length)] = np.median(times, axis=0).tolist()
    return found


def summarize(work: Path, starts: list[dict[str, list[float]]]) -> list[dict[str, Any]]:
    """A row a file: its time at each length, and the ratio to the fastest int8 peer of its engine, start by start."""
    files = present(work)
    rows: list[dict[str, Any]] = [{} for _ in files]
    for length in LENGTHS:
        times = np.array([one[str(length)] for one in starts])
        for at, one in enumerate(files):
            best = min(
                _peers(files, one.engine), key=lambda other: float(np.median(times[:, other]))
            )
            ratios = times[:, at] / times[:, best]
            rows[at][f"{length} tokens"] = {
                "ms": round(float(np.median(times[:, at])), 3),
                "beside": files[best].name,
                "ratio": round(float(np.median(ratios)), 3),
                "ratio_of_starts": [round(float(each), 3) for each in sorted(ratios)],
            }
    return rows


def _peers(files: list[File], engine: str) -> list[int]:
    """Where the int8 files of others for an engine stand, or its float ones where there are none."""
    others = [at for at, one in enumerate(files) if one.engine == engine and "ours" not in one.name]
    return [at for at in others if not files[at].name.startswith("float")] or others


def _vectors(ask: Ask, held: list[NDArray]) -> NDArray:
    return np.concatenate([ask(ids) for ids in held])


def _open(work: Path, one: File) -> Ask:
    if one.engine == "onnxruntime":
        return _open_onnxruntime(work / one.path, one.plain)
    return _open_openvino(work / one.path, one.hint)


def _open_onnxruntime(path: Path, plain: bool) -> Ask:
    import onnxruntime

    options = ort.make_options("int8", 1)
    if plain:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = ort.ONLY_ERRORS
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [end.name for end in session.get_inputs()]

    def ask(ids: NDArray) -> NDArray:
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        found: NDArray = session.run(None, {name: feeds[name] for name in names})[0]
        return found

    return ask


def _open_openvino(path: Path, hint: str) -> Ask:
    import openvino

    compiled = openvino.Core().compile_model(
        str(path),
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": 1,
            "INFERENCE_PRECISION_HINT": hint,
            "ENABLE_CPU_PINNING": False,
        },
    )
    request = compiled.create_infer_request()
    names = [port.any_name for port in compiled.inputs]

    def ask(ids: NDArray) -> NDArray:
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        answers = request.infer({name: feeds[name] for name in names})
        return np.array(next(iter(answers.values())))

    return ask


def describe_machine() -> dict[str, Any]:
    """Processor and versions."""
    from importlib import metadata

    facts = host.describe_host(local.DEVICE).facts
    kept = {name: facts[name] for name in ("machine", "model", "cores") if name in facts}
    versions = {name: metadata.version(name) for name in ("torch", "onnxruntime", "openvino")}
    return kept | versions
