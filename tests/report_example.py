"""A made-up finished run, for the tests of reports. The numbers are plausible, nothing more."""

from __future__ import annotations

from typing import Any

from edgekd.report.assemble import assemble_result
from edgekd.report.result import Result
from edgekd.task import Scale
from tests import bundle_example

DIGEST = "0123456789abcdef" * 4
SCALE = Scale("accuracy")
ROWS = [
    ("onnxruntime-fp32-1t", 0.131, 0.9266, 340_092),
    ("onnxruntime-fp32-2t", 0.098, 0.9266, 340_092),
    ("openvino-fp32-1t", 0.227, 0.9266, 352_110),
    ("openvino-fp32-2t", 0.188, 0.9266, 352_110),
    ("openvino-bf16-1t", 0.140, 0.9261, 352_110),
    ("openvino-bf16-2t", 0.121, 0.9261, 352_110),
    ("teacher-onnxruntime-fp32-1t", 0.408, 0.9336, 1_260_065),
    ("teacher-openvino-fp32-1t", 0.526, 0.9336, 1_272_000),
]


BY_SIZE = {
    "axis": "text_length",
    "one_for_all": "onnxruntime-fp32-2t",
    "buckets": [
        {
            "size": size,
            "most": most,
            "share": share,
            "row": row,
            "latency_p50_ms": p50,
            "one_for_all_ms": one,
        }
        for size, most, share, row, p50, one in (
            (16, 16, 0.6, "onnxruntime-fp32-2t", 0.05, 0.05),
            (64, None, 0.4, "openvino-bf16-2t", 0.3, 0.4),
        )
    ],
    "gain": 1.25,
    "size_bytes": 692_202,
    "one_for_all_size_bytes": 340_092,
    "why": "by text_length others answer",
}
"""Of choice.json."""


def rows(**other: Any) -> list[dict[str, Any]]:
    """rows.json."""
    made = []
    for name, latency, accuracy, size_bytes in ROWS:
        more = {
            "latency_p50_ms": latency,
            "latency_ci95_ms": [latency * 0.96, latency * 1.05],
            "latency_p90_ms": latency * 1.2,
            "validation_score": accuracy,
            "size_bytes": size_bytes,
            "threads": int(name[-2]),
            "processes": 12,
            "iterations": 5000,
            "cold_start_ms": {"load": 4.0},
            "parity_max_abs": 0.03 if "bf16" in name else 2e-6,
        }
        made.append(bundle_example.row(name, **{**more, **other}))
    return made


def history(epochs: int, start: float, *terms: str) -> list[dict[str, float]]:
    """history.json."""
    return [
        {
            **{term: start * (i + 1) / (epoch + 1.0) for i, term in enumerate(terms)},
            "learning_rate": 0.1,
            "score": 0.93 - 0.3 / (epoch + 1) ** start,
        }
        for epoch in range(epochs)
    ]


def files(**other: Any) -> dict[str, Any]:
    """What the stages of a finished run wrote, as `assemble_result` takes it; `other` replaces parts."""
    found: dict[str, Any] = {
        "recipe": "fashion-mnist",
        "recipe_digest": DIGEST,
        "models": {"teacher": "resnet20", "control": "resnet8", "student": "resnet8"},
        "scores": {
            "teacher": {"score": 0.9340, "parameters": 272_000, "macs": 41_000_000},
            "control": {"score": 0.9245, "parameters": 78_000, "macs": 9_700_000},
            "student": {"score": 0.9271, "parameters": 78_000, "macs": 9_700_000},
        },
        "rows": rows(),
        "choice": {
            "metric": SCALE._asdict(),
            "chosen": "onnxruntime-fp32-2t",
            "nearest": None,
            "why": "onnxruntime-fp32-2t is the fastest of 3 inside the budget (6 measured): 0.098 ms",
            "budget": [
                {"limit": "latency_p50_ms", "want": 0.2, "got": 0.098, "verdict": "met"},
                {"limit": "peak_rss_bytes", "want": 10**8, "got": 30_000_000, "verdict": "met"},
            ],
        },
        "test": {
            "teacher": 0.9336,
            "control": 0.9240,
            "student": 0.9266,
            "right_or_wrong": True,
            "student_alone": 60,
            "control_alone": 34,
            "candidates": {name: accuracy for name, _, accuracy, _ in ROWS},
        },
        "data": {
            "task": "classification",
            "source": "fashion-mnist",
            "counts": {"train": 54_000, "validation": 6_000, "test": 10_000},
            "inputs": {
                "images": {
                    "kind": "image",
                    "height": 28,
                    "width": 28,
                    "channels": 1,
                    "mean": [0.28],
                    "std": [0.35],
                }
            },
            "targets": {"labels": {"kind": "class", "names": ["t-shirt", "trouser"]}},
        },
        "environment": {
            "cpu_model": "A CPU",
            "cores": 2,
            "versions": {"torch": "2.13.0", "onnx": None},
        },
        "lineage": {"data": {"key": DIGEST, "files": {"data.json": DIGEST}}},
    }
    return {**found, **other}


def result(**other: Any) -> Result:
    """The result of it."""
    return assemble_result(**files(**other))


SENSITIVITY: dict[str, Any] = {
    "calibration": "mse",
    "equalized": 0,
    "blocks": {"layers": ["int8", 3]},
    "bias_corrected": True,
    "float_score": 0.9164,
    "metric": SCALE._asdict(),
    "rounds": [
        {"float_layers": [], "post_training": 0.90, "learned": 0.91},
        {"float_layers": ["conv1"], "post_training": 0.91, "learned": 0.9268},
    ],
    "layers": [
        {
            "layer": "fc",
            "weight_bits": 4,
            "parameters": 2560,
            "weight_distance": 3.9e-6,
            "input_distance": 0.0,
        }
    ],
}
"""What a quantize stage says of its layers."""
