"""What the installed torch is and which GPUs it sees."""

from __future__ import annotations

from typing import Any

import torch


def describe_torch() -> dict[str, Any]:
    """Version, the CUDA it was built for, and its GPUs with their memory; empty where it sees none."""
    gpus: list[dict[str, Any]] = []
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(number)
            gpus.append({"name": about.name, "memory_bytes": about.total_memory})
    if torch.backends.mps.is_available():
        gpus.append({"name": "Apple GPU (MPS)", "memory_bytes": None})
    return {"version": torch.__version__, "cuda": torch.version.cuda, "gpus": gpus}
