"""Bytes of a decoder's two files in a bundle, and the memory of a process that writes with one, weights held twice and once.

    python benchmarks/decoding/memory.py FOLDER --output benchmarks/decoding/memory.json

FOLDER is that of `compare.py prepare`. Each form runs in a process of its own: 64 tokens, then 32 more, buffers for 256, one
thread; the largest resident memory of the process, and what is resident at its end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

CONTEXT, STEPS, LONGEST = 64, 32, 256
ENDS = {"fp32": "", "int4": "-int4"}
ENGINES = {"onnxruntime": "fused", "openvino": "plain"}
TWICE, ONCE = "twice", "once"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--form", nargs=3)
    asked = parser.parse_args()
    if asked.form:
        measure(asked.folder, *asked.form)
        return
    files = [count_bytes(asked.folder, precision) for precision in ENDS]
    rows = []
    for engine in ENGINES:
        for precision in ENDS:
            for held in (TWICE, ONCE):
                form = [engine, precision, held]
                ran = [sys.executable, __file__, str(asked.folder), "--form", *form]
                told = json.loads(subprocess.check_output(ran).splitlines()[-1])
                rows.append({"engine": engine, "precision": precision, "weights": held, **told})
                sys.stdout.write(json.dumps(rows[-1]) + "\n")
    if asked.output:
        command = (
            "python benchmarks/decoding/memory.py FOLDER --output benchmarks/decoding/memory.json"
        )
        told = {"command": command, "bundle": files, "rows": rows}
        asked.output.write_text(json.dumps(told, indent=1) + "\n")


def count_bytes(folder: Path, precision: str) -> dict[str, Any]:
    """Both files as they are, and as a bundle has them."""
    from edgekd.admission.weight_files import share_weights

    plain, fused = (folder / f"{form}{ENDS[precision]}.onnx" for form in ("plain", "fused"))
    shared = len(share_weights(fused, plain, "model.onnx"))
    sizes = {"model_bytes": plain.stat().st_size, "fused_bytes": fused.stat().st_size}
    return {"precision": precision, **sizes, "fused_bytes_in_bundle": shared}


def measure(folder: Path, engine: str, precision: str, held: str) -> None:
    """One form, in this process."""
    from edgekd.runtimes import find_runtime
    from edgekd.runtimes import ort
    from edgekd.runtimes.openvino import mapped_pages

    if held == TWICE:
        ort.DETACHED_BYTES = mapped_pages.LEAST_BYTES = 2**62
    path = folder / f"{ENGINES[engine]}{ENDS[precision]}.onnx"
    runtime = find_runtime(engine)
    with tempfile.TemporaryDirectory() as scratch:
        building = [sys.executable, "-c", BUILD, engine, str(path), scratch, precision, held]
        subprocess.check_call(building)
        files = {each.name: each for each in Path(scratch).iterdir()}
        stream = runtime.open_stream(files, precision, 1, LONGEST)
        assert stream is not None
        tokens = np.arange(1, CONTEXT + STEPS + 1)
        stream.decode(tokens[:CONTEXT])
        for token in tokens[CONTEXT:]:
            stream.decode(np.array([token]))
        lines = Path("/proc/self/status").read_text().splitlines()
        told = dict(line.split(":", 1) for line in lines)
        sizes = {
            name: int(told[field].split()[0]) // 1000
            for name, field in {"peak_rss_mb": "VmHWM", "held_rss_mb": "VmRSS"}.items()
        }
        engine_mb = sum(each.stat().st_size for each in files.values()) // 10**6
    sys.stdout.write(json.dumps({"engine_mb": engine_mb, **sizes, **stream.describe()}) + "\n")


BUILD = """
import sys
from pathlib import Path
from edgekd.runtimes import find_runtime
from edgekd.runtimes import ort
engine, path, folder, precision, held = sys.argv[1:]
if held == "twice":
    ort.DETACHED_BYTES = 2**62
find_runtime(engine).build(Path(path), Path(folder), precision)
"""

if __name__ == "__main__":
    main()
