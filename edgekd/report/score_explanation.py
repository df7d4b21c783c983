"""Sentences and tables about what a student learned, of any task: by its metrics and its agreement."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from edgekd.bench.roles import CONTROL
from edgekd.bench.roles import REFERENCE
from edgekd.bench.roles import ROLES
from edgekd.bench.roles import STUDENT
from edgekd.bench.roles import find_reference
from edgekd.report.tables import PageTable
from edgekd.task import Scale
from edgekd.task import drop_text
from edgekd.task import value_text
from edgekd.units import number_text
from edgekd.units import percent_text

Content = Mapping[str, Any]


def agreement_sentences(content: Content) -> Iterator[str]:
    """Yield how far the student decides as its teacher does, unless that is how often it names the same class; and
    how much better or worse it scores than the others."""
    alike, classes = content["agreement"], content.get("fidelity", {})
    apart = [role for role, each in alike.items() if each != classes.get(role, {}).get("agreement")]
    if apart and STUDENT in alike:
        beside = f", its control on {percent_text(alike[CONTROL])}" if CONTROL in alike else ""
        yield (
            f"The student decides as {name_reference(content)} does on {percent_text(alike[STUDENT])}{beside}."
        )
    scale = Scale(**content["metric"])
    for other, below in content["below"].items():
        if "above" in content:
            change = content["above"][other]
            yield (
                f"Against {name_role(other)} the student corrects {number_text(change['corrected'], 'sample')} and loses "
                f"{change['lost']}: {change_text(change)}."
            )
        else:
            drop = below["score_drop"]
            side = "worse than" if drop > 0 else "better than"
            much = drop_text(scale, drop) + (
                f" of {scale.name}" if scale.unit == "fraction" else ""
            )
            yield f"It is {much} {side} {name_role(other)} (how much worse, 95 % interval: {_ends(below)})."


def name_role(role: str) -> str:
    """Name what the student is compared with, in a sentence about it: ``its teacher``, ``the reference``."""
    return f"{'the' if role == REFERENCE else 'its'} {role}"


def name_reference(content: Content) -> str:
    """Name what explain.json compares the student with."""
    return name_role(find_reference(content["models"]))


def list_roles(content: Content) -> list[str]:
    """List the roles of which explain.json has a model, in the order in which they are shown."""
    return [role for role in ROLES if role in content["models"]]


def change_text(change: Content) -> str:
    """Return the points that were gained, their interval and the p-value."""
    low, high = change["points_ci95"]
    interval = f"95 % interval {low:.2f} to {high:.2f}"
    return f"{change['points']:+.2f} points ({interval}, McNemar p = {change['p_value']:.2g})"


def metrics_table(content: Content, file: str) -> PageTable:
    """Every metric of every model in its unit, the score first."""
    models, scales = content["models"], [Scale(**scale) for scale in content["metrics"]]
    rows = tuple(
        (role, *(value_text(scale, models[role]["metrics"][scale.name]) for scale in scales))
        for role in list_roles(content)
    )
    lead = (f"The score is {scales[0].name}, {scales[0].better} is better.",)
    columns = (
        "",
        *(f"{s.name} (lower is better)" if s.better == "lower" else s.name for s in scales),
    )
    return PageTable("How good", file, lead, columns, rows, 0)


def terms_table(content: Content, file: str) -> PageTable:
    """Return what each term of the loss brought: points and p-values where samples are right or wrong, else how much
    worse the score is."""
    scale, terms = Scale(**content["metric"]), content["ablation"]
    tested = "p_holm" in terms[0]
    rows = tuple(
        (row["term"], value_text(scale, row["score"]), *(_tested(row) if tested else _worse(row)))
        for row in terms
    )
    whole = value_text(scale, terms[0]["score_of_all"])
    helped = (
        "below 0 the term helped" if tested else "above 0 it is worse without, so the term helped"
    )
    p_value = ", p after Holm's correction" if tested else ""
    lead = (
        f"The first distilled student, {whole} with all terms, trained again without each: {helped}. The interval "
        f"is over samples{p_value}; another seed would move it further.",
    )
    change = ("points", "95 % interval", "p") if tested else ("worse by", "95 % interval")
    columns = ("left out", scale.name, *change)
    return PageTable("What each term brought", file, lead, columns, rows, 0)


def _tested(row: Content) -> tuple[str, ...]:
    low, high = row["points_ci95"]
    return f"{row['points']:+.2f}", f"{low:.2f} to {high:.2f}", f"{row['p_holm']:.2g}"


def _worse(row: Content) -> tuple[str, ...]:
    return f"{row['score_drop']:+.3g}", _ends(row)


def _ends(found: Content) -> str:
    return " to ".join(f"{end:.3g}" for end in found["score_drop_ci95"])
