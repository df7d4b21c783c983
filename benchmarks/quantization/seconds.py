"""How long post-training quantization takes beside ONNX Runtime's and NNCF's: ResNet-18 at 224, the same images.

    PYTHONPATH=. ENVIRONMENT/bin/python benchmarks/quantization/seconds.py --output benchmarks/quantization/seconds.json

ENVIRONMENT holds edgekd's requirements, timm, onnxruntime, openvino and nncf (`environments.py`). timm's model has random
weights: times do not depend on them. Tools take turns, each run in a fresh process on as many threads as asked; seconds are
from images and float model to the int8 file (ours: with and without the export to ONNX, which peers are given), imports
not counted. Medians, and all runs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIDE, BATCH = 224, 32


def ends() -> Any:
    """What the models take and give."""
    from edgekd.interface import image_classifier

    return image_classifier(classes=1000, channels=3, height=SIDE, width=SIDE)


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 3, SIDE, SIDE), dtype=np.float32)


def model(name: str) -> Any:
    """timm's, untrained; a torchvision built for another torch gets the operators it asks for."""
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    import timm

    torch.manual_seed(0)
    return timm.create_model(name, pretrained=False).eval()


def edgekd(name: str, folder: Path, count: int) -> Callable[[], dict[str, float]]:
    import torch

    from edgekd.learn.export import to_onnx
    from edgekd.learn.quant import emit
    from edgekd.learn.quant import post_training
    from edgekd.profile import NUMERICS
    from edgekd.profile import PROFILES

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    plain, data = model(name), torch.from_numpy(images(count))

    def run() -> dict[str, float]:
        start = time.perf_counter()
        numerics = NUMERICS["asymmetric"]
        made = post_training.quantize(
            plain, ends(), numerics, lambda: ((part,) for part in data.split(BATCH))
        ).model
        calibrated = time.perf_counter() - start
        to_onnx.write(emit.prepare_export(made, PROFILES["x86"]), folder / "ours.onnx", ends())
        return {"without export": calibrated}

    return run


def onnxruntime(name: str, folder: Path, count: int) -> Callable[[], dict[str, float]]:
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    data = images(count)

    class Images(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter(np.split(data, range(BATCH, count, BATCH)))

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch}

    def run() -> dict[str, float]:
        prepared = folder / "prepared.onnx"
        quant_pre_process(folder / "float.onnx", prepared)
        quantization.quantize_static(
            prepared,
            folder / "ort.onnx",
            Images(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
        )
        return {}

    return run


def nncf(name: str, folder: Path, count: int) -> Callable[[], dict[str, float]]:
    import nncf
    import openvino

    data = images(count)

    def run() -> dict[str, float]:
        plain = openvino.convert_model(folder / "float.onnx")
        given = nncf.Dataset(list(data), lambda image: image[None])
        made = nncf.quantize(plain, given, subset_size=count)
        openvino.save_model(made, folder / "nncf.xml", compress_to_fp16=False)
        return {}

    return run


TOOLS = {"edgekd": edgekd, "ONNX Runtime quantize_static": onnxruntime, "NNCF, OpenVINO": nncf}


def child(asked: argparse.Namespace) -> None:
    """One run of one tool; its seconds as JSON, last on stdout."""
    run = TOOLS[asked.tool](asked.model, asked.folder, asked.images)
    wall, cpu = time.perf_counter(), time.process_time()
    told = run()
    seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(json.dumps({**seconds, **told}))


def one_round(asked: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    """A run of each tool, one after the other."""
    found = {}
    for tool in TOOLS:
        command = [sys.executable, __file__, "--tool", tool, "--folder", str(folder)]
        command += ["--model", asked.model, "--images", str(asked.images)]
        threads = {"OMP_NUM_THREADS": str(asked.threads)}
        ran = subprocess.run(
            command, capture_output=True, text=True, check=True, env=os.environ | threads
        )
        found[tool] = json.loads(ran.stdout.splitlines()[-1])
        print(tool, found[tool], file=sys.stderr, flush=True)
    return found


def summary(asked: argparse.Namespace, rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """What is stored after each round."""
    from edgekd.bench.machine import fingerprint

    medians = {
        tool: {key: statistics.median(one[tool][key] for one in rounds) for key in rounds[0][tool]}
        for tool in TOOLS
    }
    cheapest = min(medians[tool]["wall"] for tool in TOOLS if tool != "edgekd")
    return {
        "command": "python benchmarks/quantization/seconds.py",
        **{key: getattr(asked, key) for key in ("model", "images", "threads")},
        "machine": fingerprint.collect_host_facts(),
        "versions": fingerprint.list_engine_versions(),
        "median_seconds": medians,
        "ours_to_cheapest": {
            key: medians["edgekd"][key] / cheapest for key in ("wall", "without export")
        },
        "rounds": rounds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet18", help="of timm")
    parser.add_argument("--images", type=int, default=300, help="NNCF's own default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("seconds.json"))
    parser.add_argument("--tool", choices=tuple(TOOLS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.tool:
        child(asked)
        return
    from edgekd.learn.export import to_onnx

    rounds = []
    with tempfile.TemporaryDirectory() as scratch:
        to_onnx.write(model(asked.model), Path(scratch) / "float.onnx", ends())
        for _ in range(asked.rounds):
            rounds.append(one_round(asked, Path(scratch)))
            result = summary(asked, rounds)
            asked.output.write_text(json.dumps(result, indent=1, default=str) + "\n")
    print(
        json.dumps({key: result[key] for key in ("median_seconds", "ours_to_cheapest")}, indent=1)
    )


if __name__ == "__main__":
    main()
