"""The result as a table one reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEAD = (
    "| | test accuracy, ORT / OpenVINO | McNemar p to float | p50 to float, ORT, 1 / 2 threads "
    "| p50 to float, OpenVINO, 1 / 2 threads | float convolutions left, ORT / OpenVINO "
    "| file bytes, ORT / OpenVINO | seconds (CPU) | lines | environment, MiB |"
)
NONE = "–"
FLOATS = {"f32", "fp32", "bf16", "f16", "fp16"}


def markdown(result: Mapping[str, Any]) -> str:
    """Table, the reasons of what is missing, and our standings."""
    lines = [HEAD, "|" + "---|" * (HEAD.count("|") - 1)]
    lines += [_row(row) for row in result["rows"]]
    reasons = [
        f"- {row['name']} on {engine}: {row[engine]['reason']}"
        for row in result["rows"]
        for engine in ("onnxruntime", "openvino")
        if "reason" in row[engine]
    ]
    lines += ["", "Not there:", "", *reasons] if reasons else []
    lines += ["", *_float(result), *_fit(result)]
    stands = [
        f"- {one['name']}: {one['column']}: **{one['standing']}**: {one['value']:.6g}"
        f" (best: {one['best']}, {one['best_value']:.6g})"
        for one in result["standings"]
    ]
    return "\n".join([*lines, *(["", "Standings:", ""] if stands else []), *stands]) + "\n"


def _row(row: Mapping[str, Any]) -> str:
    ort, vino = row["onnxruntime"], row["openvino"]
    cells = [
        row["name"],
        _both(_accuracy(ort), _accuracy(vino)),
        _both(_p(ort), _p(vino)),
        _both(_ratio(ort, 1), _ratio(ort, 2)),
        _both(_ratio(vino, 1), _ratio(vino, 2)),
        _both(_float_convolutions(ort), _float_convolutions(vino)),
        _both(_number(ort.get("size_bytes")), _number(vino.get("size_bytes"))),
        f"{_number(row.get('seconds'))} ({_number(row.get('cpu_seconds'))})",
        _number(row.get("lines")),
        _number(row.get("environment_mib")),
    ]
    return f"| {' | '.join(cells)} |"


def _both(one: str, other: str) -> str:
    return f"{one} / {other}"


def _accuracy(cell: Mapping[str, Any]) -> str:
    return f"{100 * cell['accuracy']:.2f} %" if "accuracy" in cell else NONE


def _p(cell: Mapping[str, Any]) -> str:
    return f"{cell['against_float']['mcnemar_p']:.2g}" if "against_float" in cell else NONE


def _ratio(cell: Mapping[str, Any], threads: int) -> str:
    found = cell.get(f"{threads} threads", {}).get("to_float")
    if not found:
        return NONE
    if not found["ci95"]:
        return f"{found['ratio']:.2f}"
    low, high = found["ci95"]
    return f"{found['ratio']:.2f} [{low:.2f}, {high:.2f}]"


def _float_convolutions(cell: Mapping[str, Any]) -> str:
    """Convolutions of the engine's own graph whose element type is a floating one."""
    kernels = cell.get("kernels")
    if kernels is None:
        return NONE
    found = 0
    for name, count in kernels.items():
        operator, _, element = name.partition(" ")
        if "Conv" in operator and element.lower() in FLOATS:
            found += count
    return str(found)


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}"


def _float(result: Mapping[str, Any]) -> list[str]:
    """The float model's own milliseconds: the ratios' denominators."""
    row = result["rows"][0]
    found = [
        f"{engine} {threads}: {row[engine][threads]['p50_ms']:.4f} ms"
        for engine in ("onnxruntime", "openvino")
        for threads in ("1 threads", "2 threads")
        if threads in row[engine]
    ]
    return [f"p50 of the float model: {'; '.join(found)}."] if found else []


def _fit(result: Mapping[str, Any]) -> list[str]:
    fit = result["fit"]
    if fit is None:
        return []
    words = [*fit["reasons"], *fit["warnings"]]
    state = "fit" if fit["ok"] and not fit["drifts"] else "not fit"
    return [f"The machine was {state} to be measured{''.join(f'; {word}' for word in words)}."]
