"""Names of the files that go from step to step."""

from __future__ import annotations

from edgekd.recipe import Recipe

SYNTHESIZE = "synthesize"
"""The step that makes images from a teacher."""
Takes = dict[str, tuple[str, str]]
"""Input name to (label of an earlier step, its file)."""


def split_inputs(*names: str) -> Takes:
    """The arrays of the named splits, and what describes them."""
    arrays = [f"{name}_{what}" for name in names for what in ("images", "labels")]
    return {"data": ("data", "data.json")} | {name: ("data", name) for name in arrays}


def training_inputs(recipe: Recipe) -> Takes:
    """The images a student learns from and is scored on: the training split, or images made from its teacher."""
    found = split_inputs("train", "validation")
    if recipe.synthesis is not None:
        found |= {name: (SYNTHESIZE, name) for name in found if name.startswith("train_")}
    return found


def model_inputs(label: str, prefix: str = "") -> Takes:
    """A trained model's two files."""
    return {
        f"{prefix}blueprint": (label, "blueprint.json"),
        f"{prefix}weights": (label, "weights.safetensors"),
    }
