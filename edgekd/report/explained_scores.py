"""Sentences and tables about what a student learned, of any task: by its metrics and its agreement."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from edgekd.report.tables import Table
from edgekd.task import Scale
from edgekd.task import drop_text
from edgekd.task import value_text
from edgekd.units import percent_text

ROLES = ("teacher", "control", "student")
Content = Mapping[str, Any]


def agreement_sentences(content: Content) -> Iterator[str]:
    """How far the student decides as its teacher does, and how much worse it scores than the others."""
    alike = content["agreement"]
    yield (
        f"The student decides as its teacher does on {percent_text(alike['student'])}, its control on "
        f"{percent_text(alike['control'])}."
    )
    scale = Scale(**content["metric"])
    for other, found in content["below"].items():
        drop = found["score_drop"]
        side = "worse than" if drop > 0 else "better than"
        much = drop_text(scale, drop) + (f" of {scale.name}" if scale.unit == "fraction" else "")
        yield f"It is {much} {side} its {other} (how much worse, 95 % interval: {_ends(found)})."


def metrics_table(content: Content, file: str) -> Table:
    """Every metric of every model."""
    models, scale = content["models"], Scale(**content["metric"])
    names = sorted(models[ROLES[0]]["metrics"], key=lambda name: (name != scale.name, name))
    rows = tuple(
        (role, *(f"{models[role]['metrics'][name]:.4g}" for name in names)) for role in ROLES
    )
    lead = (
        f"The score is {scale.name}, {scale.better} is better; fractions are not in percent here.",
    )
    return Table("How good", file, lead, ("", *names), rows, 0)


def terms_table(content: Content, file: str) -> Table:
    """What each term of the loss brought."""
    scale = Scale(**content["metric"])
    rows = tuple(
        (
            one["term"],
            value_text(scale, one["score"]),
            f"{one['score_drop']:+.3g}",
            _ends(one),
        )
        for one in content["ablation"]
    )
    whole = value_text(scale, content["ablation"][0]["score_of_all"])
    lead = (
        f"The first distilled student, {whole} with all terms, trained again without each: above 0 it is worse "
        "without, so the term helped. The interval is over samples; another seed would move it further.",
    )
    columns = ("left out", scale.name, "worse by", "95 % interval")
    return Table("What each term brought", file, lead, columns, rows, 0)


def _ends(found: Content) -> str:
    return " to ".join(f"{end:.3g}" for end in found["score_drop_ci95"])
