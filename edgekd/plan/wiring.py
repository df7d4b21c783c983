"""Names of the files that go from step to step."""

from __future__ import annotations

Takes = dict[str, tuple[str, str]]
"""Input name to (label of an earlier step, its file)."""


def splits(*names: str) -> Takes:
    """The arrays of the named splits, and what describes them."""
    arrays = [f"{name}_{what}" for name in names for what in ("images", "labels")]
    return {"data": ("data", "data.json")} | {name: ("data", name) for name in arrays}


def model(label: str, prefix: str = "") -> Takes:
    """A trained model's two files."""
    return {
        f"{prefix}blueprint": (label, "blueprint.json"),
        f"{prefix}weights": (label, "weights.safetensors"),
    }
