"""What is installed and what it is for: torch with its GPUs, the extras, and how far this system is supported."""

from __future__ import annotations

import re
from typing import Any

EXTRAS = {
    "learn": "training, export and reports, on the machine that learns",
    "onnxruntime": "the engine ONNX Runtime",
    "openvino": "the engine OpenVINO",
    "tensorrt": "builds TensorRT engines, for NVIDIA GPUs",
    "report": "report.md and plots without torch",
    "predict": "reads images for edgekd predict",
    "sign": "signs bundles and checks signatures",
    "prune": "the step prune",
    "sweep": "edgekd sweep",
    "private": "differential privacy of the training samples",
    "hub": "models and data of the Hugging Face Hub",
    "timm": "networks of timm",
    "huggingface": "edgekd push and pull",
    "tensorboard": "--track tensorboard",
    "mlflow": "--track mlflow",
}
"""Extras of setup.cfg that a user may want, by what they bring; `describe_extras` adds those that are not here."""
NO_EXTRAS = ("all", "dev", "docs")
PLATFORMS = {
    "Linux": "everything is tested here",
    "Darwin": "not tested: training, export and times should work; memory is not measured, cores are not pinned",
    "Windows": "nothing is trained, measured or locked here, use WSL2; what only reads should work: runs, diff, report",
}
"""What works on a system, by the name that Python has for it."""


def describe_platform(system: str) -> str:
    """Return how far edgekd is known to work on a system."""
    return PLATFORMS.get(system, "not tested")


def describe_torch() -> dict[str, Any]:
    """What torch is installed and which GPUs it sees; ``why_not`` where it is missing or broken."""
    from edgekd.stage import package_version

    if package_version("torch") is None:
        return {
            "version": None,
            "gpus": [],
            "why_not": "not installed: pip install 'edgekd[learn]'",
        }
    try:
        from edgekd.learn import torch_facts

        return {**torch_facts.describe_torch(), "why_not": None}
    except Exception as error:  # an installed torch that cannot be imported is what doctor is for
        why_not = f"cannot be imported: {type(error).__name__}: {error}"
        return {"version": package_version("torch"), "gpus": [], "why_not": why_not}


def describe_gpus(found: dict[str, Any]) -> str:
    """Name the GPUs that torch sees, or say why there is none."""
    from edgekd.units import bytes_text

    names = [
        gpu["name"]
        if gpu["memory_bytes"] is None
        else f"{gpu['name']}, {bytes_text(gpu['memory_bytes'])}"
        for gpu in found["gpus"]
    ]
    if names or found["why_not"]:
        return "; ".join(names) or "not known without torch"
    if found.get("cuda") is None:
        return "none: this torch is built for processors alone"
    return f"none that torch sees; it is built for CUDA {found['cuda']}"


def list_extras() -> list[dict[str, Any]]:
    """Each extra: what it is for, what of it is installed and missing, and the line that installs it."""
    from importlib import metadata

    from edgekd.stage import package_version

    offered = metadata.metadata("edgekd").get_all("Provides-Extra") or []
    names = [*EXTRAS, *(name for name in offered if name not in (*EXTRAS, *NO_EXTRAS))]
    required = metadata.requires("edgekd") or []
    rows = []
    for extra in names:
        lines = [line for line in required if re.search(rf"extra == ['\"]{extra}['\"]", line)]
        packages = [re.split(r"[^A-Za-z0-9._-]", line)[0] for line in lines]
        installed = {name: version for name in packages if (version := package_version(name))}
        missing = [name for name in packages if name not in installed]
        install = f"pip install 'edgekd[{extra}]'" if missing else None
        about = {"name": extra, "purpose": EXTRAS.get(extra, ""), "installed": installed}
        rows.append({**about, "missing": missing, "install": install})
    return rows


def describe_extra(extra: dict[str, Any]) -> str:
    """One extra in words."""
    installed = ", ".join(f"{name} {version}" for name, version in extra["installed"].items())
    if extra["missing"]:
        lacks = f"lacks {', '.join(extra['missing'])}: {extra['install']}"
        state = f"{lacks}; has {installed}" if installed else lacks
    else:
        state = f"installed: {installed}" if installed else "nothing to install on this system"
    return f"{extra['purpose']}; {state}" if extra["purpose"] else state
