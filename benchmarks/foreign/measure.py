"""Does `edgekd bench` measure strangers' ONNX files? Real ones through the command, and onnx's backend tests.

    pip install --no-deps rapidocr-onnxruntime==1.4.4 openwakeword==0.4.0 silero-vad==6.2.3
    python benchmarks/foreign/measure.py files SITE-PACKAGES --runtime onnxruntime
    python benchmarks/foreign/measure.py backend

`files` runs the command on each, the sizes of free axes as options. `backend` takes every test model
of the onnx package that ONNX Runtime itself runs on the test's inputs, and does in one process what
the command's workers do in several: admission, plan, build, load, first inference, bound inferences;
once with the test's own inputs (``--inputs x.npz``), once with drawn ones.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
PIXELS = ["--size", "p2o.DynamicDimension.1={}", "--size", "p2o.DynamicDimension.2={}"]
SILERO = ["--size", "sequence=512"]
RATE = ["--inputs", "sr=16000"]
OPTIONS = {
    "ch_PP-OCRv4_det_infer": [word.format(320) for word in PIXELS],
    "ch_PP-OCRv4_rec_infer": ["--size", "x.2=48", "--size", "p2o.DynamicDimension.1=320"],
    "ch_ppocr_mobile_v2.0_cls_infer": ["--size", "x.2=48", "--size", "x.3=192"],
    "melspectrogram": ["--size", "samples=16000"],
    "openwakeword/silero_vad": [*SILERO, *RATE],
    "silero_vad/silero_vad": ["--size", "input.1=512", "--size", "state.1=1", *RATE],
    "silero_vad_16k_op15": [*SILERO, *RATE],
    "silero_vad_op18_ifless": [*SILERO, *RATE],
    "silero_vad_half": SILERO,
    "silero_vad_16k_sequence": ["--size", "sequence_length=4"],
}
"""By the file's stem, or its package and stem, what a user has to say."""
COUNT = 8
"""Distinct inputs of each backend test."""
ENGINES = ["onnxruntime", "openvino"]
PACKAGES = ("rapidocr_onnxruntime", "openwakeword", "silero_vad")


def files(site: Path, runtimes: list[str]) -> dict[str, Any]:
    """Exit code and p50 of each real file on each engine, by the command; what is stored is not run again."""
    stored = HERE / "files.json"
    found: dict[str, Any] = json.loads(stored.read_text())["files"] if stored.exists() else {}
    for package in PACKAGES:
        for path in sorted((site / package).rglob("*.onnx")):
            name = f"{package}/{path.stem}"
            options = OPTIONS.get(name, OPTIONS.get(path.stem, []))
            found.setdefault(name, {})["options"] = options
            for runtime in runtimes:
                if runtime not in found[name]:
                    found[name][runtime] = bench(path, ["--runtime", runtime, *options])
                    store("files", found)
            print(name, found[name], flush=True)
    return found


def store(part: str, made: dict[str, Any]) -> None:
    """Write a part's result, with the command and the versions."""
    import onnx
    import onnxruntime
    import openvino

    versions = {one.__name__: one.__version__ for one in (onnx, onnxruntime, openvino)}
    words = "files SITE-PACKAGES --runtime onnxruntime" if part == "files" else part
    command = f"python benchmarks/foreign/measure.py {words}"
    document = {"command": command, "versions": versions, part: made}
    (HERE / f"{part}.json").write_text(json.dumps(document, indent=1) + "\n")


def bench(path: Path, options: list[str]) -> dict[str, Any]:
    """What the command says of one file."""
    argv = [sys.executable, "-m", "edgekd", "bench", str(path), *options]
    little = ["--processes", "1", "--budget", "20", "--json"]
    done = subprocess.run([*argv, *little], capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        return {"exit_code": done.returncode, "says": "".join(last)[:300]}
    (result,) = json.loads(done.stdout)["results"]
    p50 = next(m["value"] for m in result["metrics"] if m["name"] == "latency_p50")
    return {"exit_code": 0, "row": result["subject"]["name"], "p50_ms": p50}


def cases() -> Iterator[tuple[str, Any, list[list[Any]]]]:
    """Name, model and the inputs of each data set, of all test models that need no download."""
    import onnx
    from onnx.backend.test import loader
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in collect_testcases(None):
            yield case.name, case.model, [list(given) for given, _ in case.data_sets]
    for kind in ("simple", "pytorch-converted", "pytorch-operator"):
        for case in loader.load_model_tests(kind=kind):
            folder = Path(case.model_dir)
            sets = [_set(path) for path in sorted(folder.glob("test_data_set_*"))]
            yield f"{kind}/{case.name}", onnx.load(folder / "model.onnx"), sets
    light = Path(loader.DATA_DIR) / "light"
    for path in sorted(light.glob("*.onnx")):
        yield f"light/{path.stem}", onnx.load(path), [[]]


def _set(folder: Path) -> list[Any]:
    import onnx
    from onnx import numpy_helper

    read = []
    for path in sorted(folder.glob("input_*.pb"), key=lambda p: int(p.stem.split("_")[1])):
        try:
            read.append(numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes())))
        except Exception:  # a sequence
            read.append(None)
    return read


def own(model: bytes, names: list[str], given: list[Any]) -> str:
    """Why ONNX Runtime does not run it by itself on the test's inputs; empty if it does."""
    import onnxruntime

    chosen = onnxruntime.SessionOptions()
    chosen.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model, chosen, providers=["CPUExecutionProvider"])
        wanted = {node.name: node for node in session.get_inputs()}
        feeds = dict(zip(names, given, strict=False))
        if not given:  # the light models' inputs are drawn by the test itself
            feeds = {n: np.ones(node.shape, np.float32) for n, node in wanted.items()}
        session.run(None, {name: feeds[name] for name in wanted})
    except Exception as error:  # an engine's own, of any kind
        return str(error).splitlines()[0][:200]
    return ""


def ours(path: Path, fed: Path | None, folder: Path) -> str:
    """Why we do not measure it; empty if we do."""
    from edgekd.bench import interface
    from edgekd.bench import jobs
    from edgekd.bench import numerics
    from edgekd.bench import user_calls
    from edgekd.bench.engine_jobs import why_no_label
    from edgekd.bench.user_inputs import UserInputs
    from edgekd.errors import EdgekdError
    from edgekd.runtimes import find_runtime

    try:
        known = interface.read_onnx(path)
        (label,) = numerics.make_labels("net", (), known.numerics, "onnxruntime")
        (call,) = user_calls.plan_calls(
            "net",
            known,
            sizes=[{}],
            batch=None,
            user=UserInputs(file=fed),
            rows=fed,
            goal=folder / "goal.npz",
        )
        engine = find_runtime("onnxruntime").build(path, folder, label.precision)  # type: ignore[arg-type]
        if wrong := why_no_label(path, label.precision):
            return wrong
        spec = {
            "runtime": "onnxruntime",
            "files": {name: str(file) for name, file in engine.items()},
            "precision": label.precision,
            "threads": 1,
            "batch": call.plan.batch,
            "call": call.plan.spec(),
            "inputs": None if call.inputs is None else str(call.inputs),
            "seed": 0,
        }
        session = jobs.load_session(spec, lambda phase: None)
        feeds = jobs.make_feeds(session, spec, COUNT)
        for step in (jobs.make_caller(session, feeds), jobs.make_step(session, feeds)):
            for index in range(len(feeds)):
                step(index)
    except (EdgekdError, ValueError) as error:
        return str(error)[:300]
    return ""


def backend() -> dict[str, Any]:
    """Of the models that ONNX Runtime runs by itself, how many we measure, and why not the others."""
    refused: dict[str, dict[str, str]] = {"given": {}, "drawn": {}}
    total = runs = 0
    for name, model, sets in cases():
        total += 1
        data = model.SerializeToString()
        held = {one.name for one in model.graph.initializer}
        names = [value.name for value in model.graph.input if value.name not in held]
        given = sets[0] if sets else []
        if own(data, names, given):
            continue
        runs += 1
        with tempfile.TemporaryDirectory() as scratch:
            for way in refused:
                folder = Path(scratch) / way
                folder.mkdir()
                path = folder / "net.onnx"
                path.write_bytes(data)
                fed = _written(folder / "x.npz", names, given) if way == "given" and given else None
                why = ours(path, fed, folder) if fed != "" else "inputs: a sequence or an optional"
                if why:
                    refused[way][name] = why.replace(scratch, "")
    found: dict[str, Any] = {"models": total, "onnxruntime_runs": runs}
    for way, names_by in refused.items():
        found[way] = {
            "measured": runs - len(names_by),
            "share": round(1 - len(names_by) / runs, 4),
            "refused": names_by,
        }
    return found


def _written(path: Path, names: list[str], given: list[Any]) -> Path | str:
    """An .npz file of a test's inputs; an empty text if they are no arrays."""
    import zipfile

    with zipfile.ZipFile(path, "x") as archive:
        for name, value in zip(names, given, strict=False):
            array = np.asarray(value) if isinstance(value, np.ndarray | np.generic) else None
            if array is None:
                return ""
            if array.dtype == object:
                array = array.astype(str)
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["files", "backend"])
    parser.add_argument("site", nargs="?", type=Path)
    parser.add_argument("--runtime", action="append", choices=ENGINES)
    asked = parser.parse_args()
    made = files(asked.site, asked.runtime or ENGINES) if asked.part == "files" else backend()
    store(asked.part, made)
    if asked.part == "backend":
        print({way: (made[way]["measured"], made[way]["share"]) for way in ("given", "drawn")})
        for way in ("given", "drawn"):
            print(way, Counter(why[:60] for why in made[way]["refused"].values()).most_common(25))


if __name__ == "__main__":
    main()
