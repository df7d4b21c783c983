"""The steps that end a run: the bundle, if a candidate was chosen, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekd import files
from edgekd.plan import learning
from edgekd.recipe import Recipe
from edgekd.stage import Step
from edgekd.stage import package_version
from edgekd.stages import bundle
from edgekd.stages import report
from edgekd.store import Entry

TOLD = {
    "data": ("data", "data.json"),
    "rows": ("measure", "rows.json"),
    "choice": ("choose", "choice.json"),
    "test": ("evaluate", "test.json"),
}


def steps(recipe: Recipe, entries: Mapping[str, Entry], *, bundled: bool) -> tuple[Step, ...]:
    """Bundle and report.

    Args:
        recipe: what was carried out.
        entries: the results so far, by label.
        bundled: whether a candidate was chosen.
    """
    return (
        (_bundle(recipe, entries), _report(recipe, entries))
        if bundled
        else (_report(recipe, entries),)
    )


def _bundle(recipe: Recipe, entries: Mapping[str, Entry]) -> Step:
    exported = {
        "model": ("export-student", "model.onnx"),
        "golden": ("export-student", "golden.safetensors"),
        "parity": ("export-student", "parity.json"),
    }
    lineage = {label: entry.key for label, entry in entries.items()}
    config = bundle.Config(name=recipe.name, lineage=lineage)
    return Step("bundle", bundle.STAGE, config, {**TOLD, **exported})


def _report(recipe: Recipe, entries: Mapping[str, Entry]) -> Step:
    makers = {
        "teacher": "teacher",
        "control": "control",
        "student": learning.student_label(recipe),
    }
    site = {"site": ("measure", "site.json")}
    learned = {
        f"{role}_{what}": (maker, f"{what}.json")
        for role, maker in makers.items()
        for what in ("score", "history")
    }
    config = report.Config(
        recipe=recipe.name,
        recipe_digest=files.digest_bytes(files.canonical_json(recipe.model_dump(mode="json"))),
        models={
            "teacher": str(recipe.teacher.model),
            "control": str(recipe.student.model),
            "student": str(recipe.student.model),
        },
        lineage={label: _traced(entry) for label, entry in entries.items()},
        environment=_environment(),
    )
    return Step("report", report.STAGE, config, {**TOLD, **learned, **site})


def _traced(entry: Entry) -> dict[str, Any]:
    return {"key": entry.key, "files": {name: b.sha256 for name, b in entry.files.items()}}


def _environment() -> dict[str, Any]:
    """The versions that matter on the machine that learns; the device's own are in site.json."""
    return {"versions": {name: package_version(name) for name in ("onnx", "torch")}}
