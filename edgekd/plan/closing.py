"""The steps that end a run: the bundle, if a candidate was chosen, what was learned, and the report."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from edgekd import files
from edgekd.bench.candidate import name_export
from edgekd.bench.roles import STUDENT
from edgekd.bench.roles import TEACHER
from edgekd.plan import ablation
from edgekd.plan import deliverables
from edgekd.plan import deploying
from edgekd.plan import members
from edgekd.plan import own_texts
from edgekd.plan import roles
from edgekd.plan import student
from edgekd.plan import wiring
from edgekd.recipe import Recipe
from edgekd.report import tables
from edgekd.stage import Step
from edgekd.stage import package_version
from edgekd.stages import bundle
from edgekd.stages import explain
from edgekd.stages import report
from edgekd.stages.export import FUSED
from edgekd.stages.export import GENERATION
from edgekd.store import StoreEntry
from edgekd.tokenizer import FILE as TOKENIZER

RESULT_INPUTS = {
    "data": ("data", "data.json"),
    "rows": ("measure", "rows.json"),
    "choice": ("choose", "choice.json"),
    "test": ("evaluate", "test.json"),
}
EXPLANATION_INPUTS = {name: ("explain", name) for name in explain.FILES}


def steps(
    recipe: Recipe,
    entries: Mapping[str, StoreEntry],
    chosen: Mapping[str, Any] | None,
    overrides: tuple[str, ...] = (),
    more: tuple[str, ...] = (),
) -> tuple[Step, ...]:
    """Bundle, explanation and report.

    Args:
        recipe: what was carried out.
        entries: the results so far, by label.
        chosen: the row of the chosen candidate; None, and there is no bundle, if none was.
        overrides: what the command line changed of the recipe.
        more: profiles of the further files that answer at some sizes; empty of the float one.
    """
    told = (_explain(recipe, entries), _report(recipe, entries, chosen, overrides))
    return told if chosen is None else (_bundle(recipe, entries, chosen, more), *told)


def _bundle(
    recipe: Recipe,
    entries: Mapping[str, StoreEntry],
    chosen: Mapping[str, Any],
    more: tuple[str, ...],
) -> Step:
    exported = _exported(chosen["profile"])
    exported |= _find_text_files(
        recipe, entries[exported["model"][0]], chosen, exported["model"][0]
    )
    for profile in more:
        exported |= {f"{profile}/{name}": each for name, each in _exported(profile).items()}
    if "data" in entries and TOKENIZER in entries["data"].files:
        exported[TOKENIZER] = ("data", TOKENIZER)
    lineage = {label: entry.key for label, entry in entries.items()}
    config = bundle.BundleConfig(name=recipe.name, lineage=lineage, more=more)
    return Step("bundle", bundle.STAGE, config, {**RESULT_INPUTS, **exported})


def _exported(profile: str) -> wiring.Takes:
    maker = f"export-{name_export(STUDENT, profile)}"
    return {
        "model": (maker, "model.onnx"),
        "golden": (maker, "golden.safetensors"),
        "parity": (maker, "parity.json"),
    }


def _find_text_files(
    recipe: Recipe, exported: StoreEntry, chosen: Mapping[str, Any], maker: str
) -> wiring.Takes:
    """Of a decoder: its golden text, and the file of fused operators, if the chosen engine runs that and it is another
    one."""
    made = exported.files
    found = {"generation": (maker, GENERATION)} if GENERATION in made else {}
    name = deploying.name_file(recipe, chosen["runtime"], roles.measured_labels(recipe)[STUDENT])
    if name == FUSED and made[FUSED].sha256 != made["model.onnx"].sha256:
        found["fused"] = (maker, FUSED)
    return found


def _explain(recipe: Recipe, entries: Mapping[str, StoreEntry]) -> Step:
    makers = roles.role_labels(recipe)
    if recipe.answers_tokens and own_texts.find_label(recipe, TEACHER) != "data":
        del makers[TEACHER]  # answers to other tokens cannot be laid beside the student's
    for each in ablation.find_ablations(recipe):
        makers |= {explain.WHOLE: each.whole, f"{explain.WITHOUT}{each.term}": each.label}
    words = recipe.explain
    takes = wiring.split_inputs(words.split)
    takes |= own_texts.take_beside(recipe, TEACHER, words.split)
    for role, label in makers.items():
        takes |= wiring.model_inputs(label, prefix=f"{role}_")
    config = explain.ExplainConfig(
        **{name: getattr(words, name) for name in explain.ExplainConfig.model_fields}
    )
    return Step("explain", explain.STAGE, config, takes, recipe.seed)


def _report(
    recipe: Recipe,
    entries: Mapping[str, StoreEntry],
    chosen: Mapping[str, Any] | None,
    overrides: tuple[str, ...],
) -> Step:
    quantized = {
        numerics: label for numerics, label in student.quantize_labels().items() if label in entries
    }
    labels = roles.role_labels(recipe)
    makers = labels | {label: label for label in quantized.values()}
    site = {"site": ("measure", "site.json"), "times": ("measure", "raw.json.gz")}
    learned = {
        f"{role}_{what}": (maker, f"{what}.json")
        for role, maker in makers.items()
        for what in ("score", "history")
    }
    ablated = {each.label for each in ablation.find_ablations(recipe)}
    shown = {
        f"{report.TABLE}{tables.name_file(file, label)}": (label, file)
        for label, entry in entries.items()
        for file in entry.files
        if file in tables.FILES and label not in ablated
    }
    trained = {
        f"{report.STEP}{label}/{file}": (label, file)
        for label, entry in entries.items()
        for file in ("score.json", "history.json")
        if file in entry.files and label not in ablated
    }
    resolved = recipe.model_dump(mode="json")
    config = report.ReportConfig(
        recipe=recipe.name,
        recipe_digest=files.digest_bytes(files.canonical_json(resolved)),
        resolved_recipe=resolved,
        overrides=overrides,
        models={
            role: str(
                (recipe.named_teachers if role == TEACHER else {}).get(role, recipe.student).model
            )
            for role in labels
        },
        quantized=quantized,
        lineage={label: _traced(entry) for label, entry in entries.items()},
        plugins=tuple(plugin._asdict() for plugin in members.list_used_plugins(recipe)),
        environment=_environment(),
        files=tuple(_describe_files(recipe, entries, chosen)),
        durations_s=_sum_durations(entries),
        versions=_list_versions(entries),
    )
    return Step(
        "report",
        report.STAGE,
        config,
        {**RESULT_INPUTS, **learned, **trained, **site, **shown, **EXPLANATION_INPUTS},
    )


_COMMIT, _NUMBER = re.compile(r"[0-9a-f]{40}"), re.compile(r"^(?:\d+/)+")
"""Of an origin: a commit among digests, and what `origins.join` puts before a name."""


def _traced(entry: StoreEntry) -> dict[str, Any]:
    made = {"made_at": entry.made.at, "took_s": entry.made.took_s}
    weights = [blob.size_bytes for name, blob in entry.files.items() if name in report.MODEL_FILES]
    digests = {name: blob.sha256 for name, blob in entry.files.items()}
    origin = entry.inputs.get("origin", {})
    commits = {_NUMBER.sub("", k): v for k, v in origin.items() if _COMMIT.fullmatch(v)}
    sizes = {"model_bytes": sum(weights) or None}
    return {"key": entry.key, "files": digests, **sizes, "commits": commits, **made}


def _describe_files(
    recipe: Recipe, entries: Mapping[str, StoreEntry], chosen: Mapping[str, Any] | None
) -> Iterator[dict[str, Any]]:
    """Fields of each `report.result.DeliveredFile`."""
    for name, each in deliverables.list_deliverables(recipe, entries, chosen).items():
        size_bytes = entries[each.label].files[each.file].size_bytes
        yield {"name": name, "size_bytes": size_bytes, "meaning": each.meaning}


def _sum_durations(entries: Mapping[str, StoreEntry]) -> dict[str, float]:
    """By stage, how long all its steps took when they were made, in seconds."""
    durations_s: dict[str, float] = {}
    for entry in entries.values():
        stage = str(entry.inputs["stage"])
        durations_s[stage] = round(durations_s.get(stage, 0.0) + (entry.made.took_s or 0.0), 3)
    return durations_s


def _list_versions(entries: Mapping[str, StoreEntry]) -> dict[str, str]:
    """Python's version and those of the packages on which the bytes of the steps depend, each as its first step had
    it: on the machine that learns."""
    versions = {"python": platform.python_version()}
    for entry in entries.values():
        for name, version in entry.inputs["packages"].items():
            if version is not None:
                versions.setdefault(name, version)
    return dict(sorted(versions.items()))


def _environment() -> dict[str, Any]:
    """The versions that matter on the machine that learns; the device's own are in site.json."""
    return {"versions": {name: package_version(name) for name in ("onnx", "torch")}}
