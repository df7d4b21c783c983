"""What a run hands over beside its report and bundle: the student in torch, and the ONNX file of each exported model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from edgekd.bench.candidate import name_export
from edgekd.bench.roles import STUDENT
from edgekd.plan import roles
from edgekd.plan import student
from edgekd.recipe import Recipe
from edgekd.stage import BLUEPRINT
from edgekd.store import StoreEntry

WEIGHTS = "weights.safetensors"
MODEL = "model.onnx"
QUANTIZED = "student-quantized"
MODELS = "models"
NAMES = tuple(f"{name}{end}" for name in (STUDENT, QUANTIZED) for end in (".safetensors", ".json"))
"""Of the files that every run, or one that chose a quantized student, hands over; ONNX files lie in `MODELS`."""


class Deliverable(NamedTuple):
    """One file that is handed over: which step made it, and what a reader is told of it."""

    label: str
    file: str
    meaning: str


def list_deliverables(
    recipe: Recipe, entries: Mapping[str, StoreEntry], chosen: Mapping[str, Any] | None
) -> dict[str, Deliverable]:
    """By name in the run folder; of what no step made there is none.

    Args:
        recipe: what was carried out.
        entries: its results, by label.
        chosen: the row of the chosen candidate; None if none was.
    """
    found = {
        **_torch_files(STUDENT, roles.float_label(recipe), "student in float32"),
        **_onnx_files(entries["measure"].inputs["settings"]["candidates"]),
    }
    if chosen is not None and chosen["profile"]:
        label = student.quantize_label(chosen["profile"])
        found |= _torch_files(QUANTIZED, label, "student as it was quantized")
    return {
        name: each
        for name, each in found.items()
        if each.label in entries and each.file in entries[each.label].files
    }


def _torch_files(name: str, label: str, meaning: str) -> dict[str, Deliverable]:
    return {
        f"{name}.safetensors": Deliverable(label, WEIGHTS, f"weights of the {meaning}"),
        f"{name}.json": Deliverable(label, BLUEPRINT, "the network they belong to"),
    }


def _onnx_files(candidates: list[dict[str, Any]]) -> dict[str, Deliverable]:
    """One file for all candidates that are compiled from it, which it names."""
    makers: dict[str, list[str]] = {}
    for each in candidates:
        exported = name_export(each["model"], each.get("profile", ""))
        makers.setdefault(exported, []).append(each["name"])
    return {
        f"{MODELS}/{exported}.onnx": Deliverable(
            f"export-{exported}", MODEL, f"ONNX of {', '.join(names)}"
        )
        for exported, names in makers.items()
    }
