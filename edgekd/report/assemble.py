"""The stages' JSON files put together as one result."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import edgekd
from edgekd import files
from edgekd.bench.proportion import wilson
from edgekd.bench.roles import CONTROL
from edgekd.bench.roles import STUDENT
from edgekd.bench.status import NOT_OFFERED
from edgekd.bench.status import OK
from edgekd.bench.status import UNSTABLE
from edgekd.bench.status import status_text
from edgekd.report.comparison import compare_chosen
from edgekd.report.gain import near_chance_sentences
from edgekd.report.gain import no_gain_sentence
from edgekd.report.result import FORMAT
from edgekd.report.result import Comparison
from edgekd.report.result import Model
from edgekd.report.result import Result
from edgekd.report.result_row import Row
from edgekd.task import Scale
from edgekd.task import drop_text
from edgekd.task import score_drop
from edgekd.units import percent_text

LOST_POINTS, LOST_SHARE = 0.5, 0.005
"""By how much worse than the student in float32 a chosen engine may be before that is said: points of a fraction, a
share of another number."""


def assemble_result(
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
    quantized: Mapping[str, str] | None = None,
    machine: Mapping[str, Any] | None = None,
    resolved_recipe: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    plugins: Sequence[Mapping[str, Any]] = (),
    step_warnings: Sequence[str] = (),
    about: Mapping[str, Any] | None = None,
) -> Result:
    """One result from what the stages wrote.

    Args:
        recipe: its name.
        recipe_digest: SHA-256 of it.
        models: name of the builder, by role; those that there are.
        scores: score.json, by role, and of each quantized student by its label.
        quantized: those labels, by numerics.
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
        step_warnings: what a reader must not overlook of the steps, a sentence each.
        about: further fields of the result, which are known as they are.

    Raises:
        ValueError: if a value does not fit the schema.
    """
    scale = Scale(**choice["metric"])
    validated = int(data.get("counts", {}).get("validation", 0)) * bool(test.get("right_or_wrong"))
    measured = [_row(row, test, validated) for row in mark_unstable(rows, choice)]
    candidates = [row for row in measured if row.model == STUDENT]
    references = [row for row in measured if row.model != STUDENT]
    made = {
        role: _model(role, name, scores[role], test, validated) for role, name in models.items()
    }
    control = made.get(CONTROL)
    rounded = {
        numerics: _model(label, models[STUDENT], scores[label], test, validated)
        for numerics, label in (quantized or {}).items()
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
        "task": data["task"],
        "metric": choice["metric"],
        "scales": scores[STUDENT].get("scales", []),
        "data": {
            **{name: data.get(name) for name in ("source", "counts")},
            "classes": class_names(data),
        },
        **{role: model.model_dump() for role, model in made.items()},
        "quantized": {name: model.model_dump() for name, model in rounded.items()},
        "candidates": [row.model_dump() for row in candidates],
        "references": [row.model_dump() for row in references],
        "chosen": choice["chosen"],
        "why": choice.get("why", ""),
        "nearest": choice.get("nearest"),
        "budget": choice.get("budget", []),
        **_by_size(choice, test),
        "comparison": _dumped(compare_chosen(chosen, measured, made, tested, scale, test)),
        "warnings": [
            *near_chance_sentences(scores),
            *filter(None, [control and no_gain_sentence(made[STUDENT], control, test, scale)]),
            *list_warnings(made, measured, chosen, scale, _tried(resolved_recipe or {})),
            *step_warnings,
            *machine_warnings(machine or {}),
        ],
        "machine": machine,
        "environment": dict(environment),
        "lineage": dict(lineage),
        "plugins": list(plugins),
        **(about or {}),
    }
    return Result.model_validate_json(files.canonical_json(fields))


def _by_size(choice: Mapping[str, Any], test: Mapping[str, Any]) -> dict[str, Any]:
    found = choice.get("by_size")
    return {} if found is None else {"by_size": {**found, "test_metrics": test.get("by_size", {})}}


ASKED = {name for name, field in Row.model_fields.items() if field.is_required()}
"""What a row always says, null where it is not known."""


def _tried(recipe: Mapping[str, Any]) -> set[str]:
    """The engines of which a recipe wants whatever they offer."""
    targets = recipe.get("targets", ())
    return {target["runtime"] for target in targets if target["precision"] == "auto"}


def list_warnings(
    made: Mapping[str, Model],
    rows: Sequence[Row],
    chosen: Row | None,
    scale: Scale,
    tried: Collection[str] = (),
) -> list[str]:
    """Return what a reader must not overlook of the rows, one sentence each.

    Args:
        made: the models, by role.
        rows: all of them.
        chosen: one of them.
        scale: of the score.
        tried: engines of which nobody asked for a precision: one they do not offer is nothing amiss.
    """
    found = []
    if chosen is not None and chosen.score is not None and made[STUDENT].score is not None:
        lost = score_drop(scale, chosen.score, made[STUDENT].score)
        most = LOST_POINTS if scale.unit == "fraction" else LOST_SHARE * abs(made[STUDENT].score)
        if lost > most:
            found.append(f"{chosen.name} loses {drop_text(scale, lost)} to the student in float32.")
    statuses = {row.name: (row.status, row.reason) for row in rows}
    for row in rows:
        idle = row.runtime in tried and row.status == NOT_OFFERED
        repeats = statuses.get(row.usual_row) == statuses[row.name]
        if row.status != OK and not idle and not repeats:
            found.append(f"{row.name}: {status_text(row.status, row.reason)}.")
    for row in rows:
        if row.usual_row or row.precision != "fp32":
            continue
        if row.agreement is not None and percent_text(row.agreement) != percent_text(1):
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
        {**row, "status": UNSTABLE, "reason": unstable[row["name"]]}
        if row["name"] in unstable and row["status"] == OK
        else row
        for row in rows
    ]


def class_names(data: Mapping[str, Any]) -> list[str] | None:
    """Names of the classes of the first target that has some, as data.json describes it."""
    targets: Mapping[str, Mapping[str, Any]] = data.get("targets", {})
    return next((field["names"] for field in targets.values() if "names" in field), None)


def validation_interval(score: float | None, validated: int) -> tuple[float, float] | None:
    """95 % interval of a share of validation samples that are right.

    Args:
        score: that share, if it is known.
        validated: how many samples there are; 0 where the score is none.
    """
    return wilson(score, validated) if validated and score is not None else None


def _model(
    role: str, name: str, score: Mapping[str, Any], test: Mapping[str, Any], validated: int
) -> Model:
    interval = test.get("score_ci95", {}).get(role)
    return Model(
        model=name,
        score=test.get(role),
        score_ci95=None if interval is None else (interval[0], interval[1]),
        metrics=score.get("metrics", {}),
        test_metrics=test.get("metrics", {}).get(role, {}),
        validation_score=score["score"],
        validation_ci95=validation_interval(score["score"], validated),
        parameters=score["parameters"],
        macs=score["macs"],
        near_chance=bool(score.get("near_chance")),
    )


def _row(row: Mapping[str, Any], test: Mapping[str, Any], validated: int) -> Row:
    name = row["name"]
    known = {field: row.get(field) for field in Row.model_fields if field in row or field in ASKED}
    known["score"] = test.get("candidates", {}).get(name)
    known["score_ci95"] = test.get("score_ci95", {}).get(name)
    known["validation_ci95"] = validation_interval(row.get("validation_score"), validated)
    known["test_metrics"] = test.get("candidate_metrics", {}).get(name, {})
    return Row.model_validate_json(files.canonical_json(known))


def _dumped(comparison: Comparison | None) -> dict[str, Any] | None:
    return None if comparison is None else comparison.model_dump()
