"""Tokens a second of one decoder of 58 M parameters in float and with weights in blocks, a token at a time.

    python benchmarks/weight_only/speed.py WORK      # writes WORK/speed.json

Random weights; keys and values of 64 earlier tokens go in and come out as inputs and outputs of the file. Files take
turns on one thread, so that a slow minute falls on all.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

from edgekd import runtimes
from edgekd.interface import PAST
from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Tensor as End
from edgekd.learn import cache
from edgekd.learn.export import to_onnx
from edgekd.learn.models.text_decoder import text_decoder
from edgekd.learn.weight_only import emission
from edgekd.learn.weight_only.formats import BlockChoice
from edgekd.learn.weight_only.start import quantize_weights
from edgekd.runtime import Session

VOCABULARY, LONGEST, BEFORE, TURNS, CALLS = 32_000, 256, 64, 7, 12
INTERFACE = Interface(
    (
        End("text", "int64", ("batch", "text_length"), "index", VOCABULARY),
        End("text_mask", "int64", ("batch", "text_length"), "mask"),
    ),
    (End("logits", "float32", ("batch", "text_length", VOCABULARY), "logits", 0, 2),),
    (Axis("batch"), Axis("text_length", 1, 16, LONGEST)),
)


def write_files(work: Path) -> dict[str, tuple[Path, str]]:
    """The float file and those in blocks, with the precision each is run in."""
    torch.manual_seed(0)
    sizes = {"vocabulary": VOCABULARY, "longest": LONGEST, "layers": 8, "width": 512, "heads": 8}
    model = text_decoder(**sizes).eval()
    tokens = torch.randint(VOCABULARY, (2, 16))
    forms = {"fp32": (model, "fp32")}
    for name, storage, group in (
        ("int4-g32", "int4", 32),
        ("int4-g128", "int4", 128),
        ("int8-g32", "int8", 32),
    ):
        choice = BlockChoice(storage, group, True, "int8", "int8")  # type: ignore[arg-type]
        found = quantize_weights(
            model,
            INTERFACE,
            choice,
            lambda: [(tokens, torch.ones_like(tokens))],
            rounding="nearest",
        )
        forms[name] = (emission.prepare_export(found.model), storage)
    written = {}
    for name, (form, precision) in forms.items():
        path = to_onnx.write(*_swap(work / f"{name}.onnx", cache.with_cache(form, INTERFACE)))
        written[name] = (path, precision)
    return written


def _swap(
    path: Path, form: tuple[torch.nn.Module, Interface]
) -> tuple[torch.nn.Module, Path, Interface]:
    return form[0], path, form[1]


def make_feeds(session: Session) -> dict[str, np.ndarray]:
    """One token behind `BEFORE`."""
    random, feeds = np.random.default_rng(0), {}
    for end in session.inputs:
        if end.name.startswith(PAST):
            shape = (1, end.shape[1], BEFORE, end.shape[3])
            feeds[end.name] = random.standard_normal(shape).astype(np.float32)
        else:
            shape = (1, 1 if end.name == "text" else BEFORE + 1)
            feeds[end.name] = np.ones(shape, np.int64)
    return feeds


def main(work: Path) -> None:
    torch.set_num_threads(1)
    written, result = write_files(work), {}
    for engine in ("onnxruntime", "openvino"):
        runtime, sessions = runtimes.find_runtime(engine), {}
        for name, (path, precision) in written.items():
            folder = work / f"{engine}-{name}"
            folder.mkdir(exist_ok=True)
            session = runtime.load(runtime.build(path, folder, precision), precision, 1)
            sessions[name] = (session, make_feeds(session))
        times: dict[str, list[float]] = {name: [] for name in sessions}
        for _ in range(TURNS):
            for name, (session, feeds) in sessions.items():
                session.run(feeds)
                taken = []
                for _ in range(CALLS):
                    began = time.perf_counter()
                    session.run(feeds)
                    taken.append(time.perf_counter() - began)
                times[name].append(float(np.median(taken)))
        ratios = {name: sorted(np.divide(times["fp32"], each)) for name, each in times.items()}
        result[engine] = {
            name: {
                "tokens_per_s": 1 / float(np.median(times[name])),
                "times_fp32": float(np.median(ratios[name])),
                "least_and_most": [float(ratios[name][0]), float(ratios[name][-1])],
                "file_bytes": written[name][0].stat().st_size,
            }
            for name in sessions
        }
        print(engine, json.dumps(result[engine]), flush=True)
    (work / "speed.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
