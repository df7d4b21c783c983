"""Names of the files that go from step to step."""

from __future__ import annotations

from edgekd.learn.data import SOURCES
from edgekd.recipe import Recipe
from edgekd.tokenizer import FILE as TOKENIZER

SYNTHESIZE = "synthesize"
"""The step that makes images from a teacher."""
Takes = dict[str, tuple[str, str]]
"""Input name to (label of an earlier step, its file)."""


def split_inputs(*names: str, label: str = "data", prefix: str = "") -> Takes:
    """The named splits, and what describes them.

    Args:
        names: of the splits.
        label: of the step that makes them.
        prefix: before the names of the inputs.
    """
    found = {f"{prefix}data": (label, "data.json")}
    return found | {prefix + name: (label, name) for name in names}


def tokenizer_input(recipe: Recipe) -> Takes:
    """The file of the data's tokenizer; nothing where texts are taken apart otherwise, or there are none."""
    source = recipe.data.source
    named = SOURCES[source.name].built_in and source.arguments.get("tokenizer")
    return {TOKENIZER: ("data", TOKENIZER)} if named else {}


def training_inputs(recipe: Recipe) -> Takes:
    """Return what a student learns from and is scored on: the training split, or samples made from its teacher."""
    found = split_inputs("train", "validation")
    return found if recipe.synthesis is None else found | {"train": (SYNTHESIZE, "train")}


def model_inputs(label: str, prefix: str = "") -> Takes:
    """A trained model's two files."""
    return {
        f"{prefix}blueprint": (label, "blueprint.json"),
        f"{prefix}weights": (label, "weights.safetensors"),
    }
