"""A next token behind a long context: OpenVINO's states in the graph, and one operator with its cache in several numbers
in OpenVINO and in ONNX Runtime.

    python benchmarks/decoding/cache.py FOLDER --output benchmarks/decoding/cache.json

FOLDER is that of `compare.py prepare FOLDER 2112`. Each form runs in a process of its own: the least and the median time of 64 tokens
behind 2,048, one thread, the largest memory of the process, and how far logits are from those of the first form.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.interface import PAST
from edgekd.runtime import TextStream

CONTEXT, STEPS, PIECE, VOCABULARY = 2048, 64, 64, 32_000
OPENVINO = (("plain", "f32"), ("fused", "f32"), ("fused", "u8"))
ONNXRUNTIME = (("fused", "f32"), ("fused", "int8"))
FILES = {
    "plain.onnx": OPENVINO,
    "plain-int4.onnx": OPENVINO,
    "fused.onnx": ONNXRUNTIME,
    "fused-int4.onnx": ONNXRUNTIME,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--form", nargs=3)
    parser.add_argument("--narrow", type=Path)
    asked = parser.parse_args()
    if asked.narrow:
        write_narrow(asked.folder, asked.narrow)
        return
    if asked.form:
        measure(*asked.form)
        return
    rows = []
    for file, forms in FILES.items():
        first: np.ndarray | None = None
        for kind, cache in forms:
            goal = asked.folder / "logits.npy"
            form = [str(asked.folder / file), kind, cache]
            ran = [sys.executable, __file__, str(asked.folder), "--form", *form]
            told: dict[str, Any] = json.loads(subprocess.check_output(ran).splitlines()[-1])
            logits = np.load(goal)
            first = logits if first is None else first
            off = np.sqrt(np.square(logits - first).mean()) / first.std()
            same = (logits.argmax(1) == first.argmax(1)).mean()
            engine = "openvino" if forms is OPENVINO else "onnxruntime"
            said = {"engine": engine, "file": file, "one_operator": kind == "fused", "cache": cache}
            said |= told
            rows.append({**said, "off_rms_of_spread": float(off), "same_token": float(same)})
            sys.stdout.write(json.dumps(rows[-1]) + "\n")
    if asked.output:
        command = (
            "python benchmarks/decoding/cache.py FOLDER --output benchmarks/decoding/cache.json"
        )
        asked.output.write_text(json.dumps({"command": command, "rows": rows}, indent=1) + "\n")


def measure(path: str, form: str, cache: str) -> None:
    """One form, in this process."""
    if Path(path).name.startswith("fused"):
        opened = open_onnxruntime(path, cache)
    else:
        opened = open_openvino(path, form, cache)
    tokens = np.random.default_rng(0).integers(1, VOCABULARY, CONTEXT + STEPS)
    for at in range(0, CONTEXT, PIECE):
        opened.decode(tokens[at : at + PIECE])
    logits, took = [], []
    for token in tokens[CONTEXT:]:
        began = time.perf_counter()
        logits.append(opened.decode(np.array([token])))
        took.append(1e3 * (time.perf_counter() - began))
        logits[-1] = logits[-1].copy()
    np.save(Path(path).parent / "logits.npy", np.stack(logits))
    (line,) = (o for o in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in o)
    peak_mb = int(line.split()[1]) // 1000
    told = {"least_ms": min(took), "median_ms": float(np.median(took)), "peak_rss_mb": peak_mb}
    sys.stdout.write(json.dumps(told) + "\n")


def open_openvino(path: str, form: str, cache: str) -> TextStream:
    """A stream with states inside the engine."""
    from edgekd.runtimes import openvino
    from edgekd.runtimes.openvino import stream

    core = openvino.open_core()
    model = core.read_model(path)
    assert stream.make_stateful(model, fused=form == "fused")
    options = {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    return stream.StateStream(
        core.compile_model(model, "CPU", {**options, "KV_CACHE_PRECISION": cache})
    )


def open_onnxruntime(path: str, cache: str) -> TextStream:
    """A stream over one buffer; in int8 with the scales of 2,048 other tokens, from a file made beside."""
    from edgekd.runtimes import ort

    if cache == "int8":
        narrow = Path(path).with_name(f"narrow-{Path(path).name}")
        if not narrow.exists():
            subprocess.run([sys.executable, __file__, path, "--narrow", str(narrow)], check=True)
        path = str(narrow)
    opened = ort.open_stream({ort.MODEL: Path(path)}, "fp32", 1, CONTEXT + STEPS)
    assert opened is not None
    return opened


def write_narrow(path: Path, goal: Path) -> None:
    """The file with its cache in int8; in a process of its own, whose memory is not the form's."""
    from edgekd.bench import narrow_cache
    from edgekd.learn.export import cache_in_8_bits
    from edgekd.runtimes import ort

    tokens = np.random.default_rng(1).integers(1, VOCABULARY, (16, 128))
    session = ort.load({ort.MODEL: path}, "fp32", 1)
    names = [each.name for each in session.inputs if not each.name.startswith(PAST)]
    calls = [(dict(zip(names, (tokens, np.ones_like(tokens)), strict=True)), names[1])]
    cache_in_8_bits.write_narrow(path, narrow_cache.find_largest(session, calls), goal)


if __name__ == "__main__":
    main()
