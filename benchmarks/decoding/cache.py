"""A next token of OpenVINO behind a long context: states in the graph, and one operator with its cache in several numbers.

    python benchmarks/decoding/cache.py FOLDER --output benchmarks/decoding/cache.json

FOLDER is that of `compare.py prepare`. Each form runs in a process of its own: the least and the median time of 64 tokens
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

CONTEXT, STEPS, PIECE, VOCABULARY = 2048, 64, 64, 32_000
FORMS = ((False, "f32"), (True, "f32"), (True, "u8"))
FILES = ("plain.onnx", "plain-int4.onnx")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--form", nargs=3)
    asked = parser.parse_args()
    if asked.form:
        measure(*asked.form)
        return
    rows = []
    for file in FILES:
        first: np.ndarray | None = None
        for fused, cache in FORMS:
            goal = asked.folder / "logits.npy"
            form = [str(asked.folder / file), "fused" if fused else "plain", cache]
            ran = [sys.executable, __file__, str(asked.folder), "--form", *form]
            told: dict[str, Any] = json.loads(subprocess.check_output(ran).splitlines()[-1])
            logits = np.load(goal)
            first = logits if first is None else first
            off = np.sqrt(np.square(logits - first).mean()) / first.std()
            same = (logits.argmax(1) == first.argmax(1)).mean()
            said = {"file": file, "one_operator": fused, "cache": cache, **told}
            rows.append({**said, "off_rms_of_spread": float(off), "same_token": float(same)})
            sys.stdout.write(json.dumps(rows[-1]) + "\n")
    if asked.output:
        command = (
            "python benchmarks/decoding/cache.py FOLDER --output benchmarks/decoding/cache.json"
        )
        asked.output.write_text(json.dumps({"command": command, "rows": rows}, indent=1) + "\n")


def measure(path: str, form: str, cache: str) -> None:
    """One form, in this process."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    from edgekd.runtimes.openvino import stream

    core = openvino.Core()
    model = core.read_model(path)
    assert stream.make_stateful(model, fused=form == "fused")
    options = {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    opened = stream.StateStream(
        core.compile_model(model, "CPU", {**options, "KV_CACHE_PRECISION": cache})
    )
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


if __name__ == "__main__":
    main()
