"""The stages' JSON files put together as one result."""

from __future__ import annotations

import math
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import edgekd
from edgekd import files
from edgekd.bench import status
from edgekd.report.gain import near_chance
from edgekd.report.gain import no_gain
from edgekd.report.result import FORMAT
from edgekd.report.result import Comparison
from edgekd.report.result import Model
from edgekd.report.result import Result
from edgekd.report.result import Row
from edgekd.units import percent_text

NORMAL_95 = 1.96
"""Two-sided 95 % quantile of the normal distribution."""
ROLES = ("teacher", "control", "student")
QUANTIZED = "quantize-"


def assemble(
    *,
    recipe: str,
    recipe_digest: str,
    models: Mapping[str, str],
    scores: Mapping[str, Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    choice: Mapping[str, Any],
    test: Mapping[str, Any],
    data: Mapping[str, Any],
    environment: Mapping[str, Any],
    lineage: Mapping[str, Any],
    machine: Mapping[str, Any] | None = None,
    resolved_recipe: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    plugins: Sequence[Mapping[str, Any]] = (),
) -> Result:
    """One result from what the stages wrote.

    Args:
        recipe: its name.
        recipe_digest: SHA-256 of it.
        models: name of the builder, by role (teacher, control, student).
        scores: score.json, by role; ``quantize-<numerics>`` is the student with rounded numbers.
        rows: rows.json.
        choice: choice.json.
        test: test.json; may be empty.
        data: data.json.
        environment: what the measuring machine is.
        machine: how fit the measuring machine was (``machine`` of site.json); None if nobody asked.
        lineage: key, file digests, date and duration, by label of the step.
        resolved_recipe: all of the recipe, as it was carried out.
        overrides: what the command line changed of it.
        plugins: fields of each `edgekd.plugins.Plugin` that was used.

    Raises:
        ValueError: if a value does not fit the schema.
    """
    told = test.get("candidates", {})
    measured = [_row(row, told.get(row["name"])) for row in mark_unstable(rows, choice)]
    candidates = [row for row in measured if row.model == "student"]
    references = [row for row in measured if row.model == "teacher"]
    made = {role: _model(models[role], scores[role], test.get(role)) for role in ROLES}
    quantized = {
        role.removeprefix(QUANTIZED): _model(models["student"], score, test.get(role))
        for role, score in scores.items()
        if role.startswith(QUANTIZED)
    }
    chosen = next((row for row in candidates if row.name == choice["chosen"]), None)
    tested = int(data.get("counts", {}).get("test", 0))
    fields = {
        "format": FORMAT,
        "edgekd": edgekd.__version__,
        "recipe": recipe,
        "recipe_digest": recipe_digest,
        "resolved_recipe": dict(resolved_recipe or {}),
        "overrides": list(overrides),
        "date": max((one.get("made_at") or "" for one in lineage.values()), default="") or None,
        "data": {
            **{name: data.get(name) for name in ("source", "counts")},
            "classes": class_names(data),
        },
        **{role: model.model_dump() for role, model in made.items()},
        "quantized": {name: model.model_dump() for name, model in quantized.items()},
        "candidates": [row.model_dump() for row in candidates],
        "references": [row.model_dump() for row in references],
        "chosen": choice["chosen"],
        "why": choice.get("why", ""),
        "nearest": choice.get("nearest"),
        "budget": choice.get("budget", []),
        "comparison": _dumped(compare(chosen, references, made["teacher"], tested)),
        "warnings": [
            *near_chance(scores),
            *filter(None, [no_gain(made["student"], made["control"], test)]),
            *warnings(made, measured, chosen, _tried(resolved_recipe or {})),
            *machine_warnings(machine or {}),
        ],
        "machine": machine,
        "environment": dict(environment),
        "lineage": dict(lineage),
        "plugins": list(plugins),
    }
    return Result.model_validate_json(files.canonical_json(fields))


ASKED = {name for name, field in Row.model_fields.items() if field.is_required()}
"""What a row always says, null where it is not known."""


def compare(
    chosen: Row | None, references: Sequence[Row], teacher: Model, tested: int
) -> Comparison | None:
    """The chosen row beside the teacher on the same engine and threads; None if that is not known.

    Args:
        chosen: a candidate.
        references: the teacher's rows.
        teacher: its score.
        tested: number of test samples.
    """
    if chosen is None:
        return None
    key = (chosen.runtime, chosen.threads, "fp32")
    other = next((r for r in references if (r.runtime, r.threads, r.precision) == key), None)
    if other is None or teacher.score is None or chosen.score is None or not tested:
        return None
    if not (chosen.size_bytes and other.size_bytes and chosen.latency_p50_ms):
        return None
    if other.latency_p50_ms is None:
        return None
    below = 100 * (teacher.score - chosen.score)
    half = points_half_width(teacher.score, chosen.score, tested)
    mine, its = chosen.latency_ci95_ms, other.latency_ci95_ms
    known = mine is not None and its is not None and mine[0] > 0
    return Comparison(
        reference=other.name,
        times_smaller=other.size_bytes / chosen.size_bytes,
        times_faster=other.latency_p50_ms / chosen.latency_p50_ms,
        times_faster_ci95=(its[0] / mine[1], its[1] / mine[0]) if known and mine and its else None,
        score_drop=below,
        score_drop_ci95=(below - half, below + half),
    )


def points_half_width(one: float, other: float, tested: int) -> float:
    """Half of the 95 % interval of the difference of two accuracies, in percentage points."""
    variance = (one * (1 - one) + other * (1 - other)) / tested
    return 100 * NORMAL_95 * math.sqrt(variance)


def _tried(recipe: Mapping[str, Any]) -> set[str]:
    """The engines of which a recipe wants whatever they offer."""
    targets = recipe.get("targets", ())
    return {target["runtime"] for target in targets if target["precision"] == "auto"}


def warnings(
    made: Mapping[str, Model],
    rows: Sequence[Row],
    chosen: Row | None,
    tried: Collection[str] = (),
) -> list[str]:
    """What a reader must not overlook of the rows, one sentence each.

    Args:
        made: the models, by role.
        rows: all of them.
        chosen: one of them.
        tried: engines of which nobody asked for a precision: one they do not offer is nothing amiss.
    """
    found = []
    if chosen is not None and chosen.score is not None and made["student"].score is not None:
        lost = 100 * (made["student"].score - chosen.score)
        if lost > 0.5:
            found.append(f"{chosen.name} loses {lost:.2f} points to the student in float32.")
    for row in rows:
        idle = row.runtime in tried and status.is_not_offered(row.status)
        if row.status != status.OK and not idle:
            found.append(f"{row.name}: {row.status}.")
    for row in rows:
        if row.precision == "fp32" and row.agreement is not None and row.agreement < 1:
            found.append(f"{row.name} agrees with torch on {percent_text(row.agreement)} only.")
    return found


def machine_warnings(machine: Mapping[str, Any]) -> list[str]:
    """The reasons why the machine's times are less certain, one sentence each."""
    told = [
        f"While it measured, the machine was not quiet: {w}." for w in machine.get("warnings", ())
    ]
    again = "`--set measure.seed=1` measures again"
    return [f"The machine was not fit: {r}; {again}." for r in machine.get("reasons", ())] + told


def mark_unstable(
    rows: Sequence[Mapping[str, Any]], choice: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Rows whose interval stayed wide where a decision could turn on it are called unstable."""
    unstable = choice.get("unstable", {})
    return [
        {**row, "status": f"{status.UNSTABLE}: {unstable[row['name']]}"}
        if row["name"] in unstable and row["status"] == status.OK
        else row
        for row in rows
    ]


def class_names(data: Mapping[str, Any]) -> list[str] | None:
    """Names of the classes of the first target that has some, as data.json describes it."""
    targets: Mapping[str, Mapping[str, Any]] = data.get("targets", {})
    return next((field["names"] for field in targets.values() if "names" in field), None)


def _model(name: str, score: Mapping[str, Any], accuracy: float | None) -> Model:
    return Model(
        model=name,
        score=accuracy,
        validation_score=score["score"],
        parameters=score["parameters"],
        macs=score["macs"],
    )


def _row(row: Mapping[str, Any], accuracy: float | None) -> Row:
    known = {field: row.get(field) for field in Row.model_fields if field in row or field in ASKED}
    return Row.model_validate_json(files.canonical_json({**known, "score": accuracy}))


def _dumped(comparison: Comparison | None) -> dict[str, Any] | None:
    return None if comparison is None else comparison.model_dump()
