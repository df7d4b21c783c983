"""Writes a result as a page for people: report.md."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd import task
from edgekd.bench.roles import NAMES
from edgekd.bench.roles import ROLES
from edgekd.bench.roles import STUDENT
from edgekd.bench.roles import TEACHER
from edgekd.bench.roles import find_reference
from edgekd.bench.rows import REFERENCE_PRECISION
from edgekd.bench.status import OK
from edgekd.bench.status import status_text
from edgekd.printable import escape_unprintable
from edgekd.report.explanation import ExplanationSection
from edgekd.report.generation_table import make_generation_table
from edgekd.report.result import Comparison
from edgekd.report.result import Result
from edgekd.report.tables import PageTable
from edgekd.task import Scale
from edgekd.task import drop_text
from edgekd.units import bytes_text
from edgekd.units import count_text
from edgekd.units import duration_text
from edgekd.units import percent_text
from edgekd.units import times_text

NONE = "–"
SIZE, SPEED = ("smaller", "larger"), ("faster", "slower")
"""What a ratio of sizes or times is called, and its inverse."""


def report_page(
    result: Result, tables: Sequence[PageTable] = (), explained: ExplanationSection | None = None
) -> str:
    """The text of report.md.

    Args:
        result: what is told.
        tables: what is known layer by layer (`edgekd.report.tables`).
        explained: what the student learned (`edgekd.report.explanation`); None if nobody looked.
    """
    template, scale = Path(__file__).parent / "report.md.j2", Scale(**result.metric.model_dump())
    engines = {(row.runtime, row.precision): row for row in reversed(result.candidates)}
    return render_template(
        template,
        result=result,
        headline=headline(result),
        roles=[role for role in ROLES if getattr(result, role) is not None],
        beside=comparison_text(result.comparison, scale) if result.comparison else "",
        compared=NAMES[result.comparison.role] if result.comparison else "",
        scale=scale,
        floats=any(row.float_agreement is not None for row in result.candidates),
        engines=[row for row in reversed(engines.values()) if row.kernels],
        tables=tables,
        generation=make_generation_table(result),
        explained=explained,
    )


def comparison_text(found: Comparison, scale: Scale) -> str:
    """The chosen row beside the teacher's, with the intervals.

    Args:
        found: what is compared.
        scale: of the score.
    """
    speed, interval = times_text(found.times_faster, *SPEED, 2), found.times_faster_ci95
    if interval is not None:
        ends = sorted(interval if found.times_faster >= 1 else (1 / end for end in interval if end))
        speed += f" (95 % interval {' to '.join(f'{end:.2f}' for end in ends)})"
    drop, interval = found.score_drop, found.score_drop_ci95
    beside = (
        f"{drop_text(scale, drop)} {name_side(scale, drop)} the {NAMES[found.role]} on the test set"
    )
    if interval is not None:
        low, high = interval if drop >= 0 else (-interval[1], -interval[0])
        digits = ".2f" if scale.unit == "fraction" else ".3g"
        how = "paired" if found.paired else "unpaired"
        beside += f" (95 % interval {low:{digits}} to {high:{digits}}, {how})"
    return f"{speed}, {times_text(found.times_smaller, *SIZE, 2)};\n{beside}."


def name_side(scale: Scale, drop: float) -> str:
    """``below`` or ``above`` of a score, ``worse than`` or ``better than`` of another number."""
    if scale.unit == "fraction" and scale.better == "higher":
        return "below" if drop >= 0 else "above"
    return "worse than" if drop >= 0 else "better than"


def headline(result: Result) -> str:
    """One sentence: what came out of this run."""
    if result.chosen is None:
        return f"Nothing was chosen: {result.why}"
    found = result.comparison
    if found is None:
        return f"{result.chosen} was chosen; {_why_alone(result)}."
    doubt = status_note(result)
    scale = Scale(**result.metric.model_dump())
    drop = drop_text(scale, found.score_drop, 1)
    return (
        f"{guess_note(result)}{times_text(found.times_smaller, *SIZE)}, {times_text(found.times_faster, *SPEED)}{doubt}, "
        f"{drop} {name_side(scale, found.score_drop)} {name_compared(found)}"
    )


def guess_note(result: Result) -> str:
    """What stands before a headline where the student guesses: no other figure is worth anything then."""
    return "The student is near chance: " if result.student.near_chance else ""


def name_compared(found: Comparison) -> str:
    """Name what the chosen row is compared with, in a sentence about it."""
    return f"{'its' if found.role == TEACHER else 'the'} {NAMES[found.role]}"


def _why_alone(result: Result) -> str:
    """Why the chosen row is compared with none."""
    role = find_reference({row.model for row in (*result.candidates, *result.references)})
    rows = [row for row in result.candidates if row.name == result.chosen]
    if role == STUDENT and any(row.precision == REFERENCE_PRECISION for row in rows):
        return f"it is the {NAMES[role]}"
    return f"the {NAMES[role]} was not measured beside it"


def status_note(result: Result) -> str:
    """`` (unstable)`` where the chosen row or the one it is compared with says so; empty if both are ok."""
    names = {result.chosen, result.comparison.reference if result.comparison else None}
    rows = [row for row in (*result.candidates, *result.references) if row.name in names]
    words = {row.status for row in rows} - {OK}
    drifting = result.machine is not None and result.machine.drifts
    told = [*sorted(words), *(["the machine drifted"] if drifting else [])]
    return f" ({', '.join(told)})" if told else ""


def half_width_text(interval: Sequence[float], value: float) -> str:
    """``± 2.3 %``: half of an interval."""
    return f"± {50 * (interval[1] - interval[0]) / value:.1f} %" if value else NONE


def render_template(template: Path, **values: Any) -> str:
    """A Jinja2 template of this folder, filled; what it names and is not given is an error."""
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown; what comes from a user goes through `escape_text`
    )
    environment.filters.update(
        plain=escape_text,
        because=status_text,
        percent=_or_none(percent_text),
        figure=figure_or_none,
        size=_or_none(bytes_text),
        count=_or_none(count_text),
        ms=_or_none(lambda value: f"{value:.3g}"),
        small=_or_none(lambda value: f"{value:.1e}"),
        value=value_text,
        width=half_width_text,
        duration=_or_none(duration_text),
    )
    filled = environment.from_string(template.read_text(encoding="utf-8")).render(**values)
    return escape_unprintable(filled, keep="\n")


def escape_text(value: Any) -> str:
    """Text that can stand in a table's cell: one line, no markup."""
    text = escape_unprintable(" ".join(str(value).split()))
    return "".join(f"\\{sign}" if sign in "\\|`*<>[]" else sign for sign in text)


def value_text(value: Any) -> str:
    """A limit of the budget or what it met."""
    if value is None:
        return NONE
    return f"{value:.4g}" if isinstance(value, float) else escape_text(value)


def figure_or_none(value: float | None, scale: Scale) -> str:
    """A metric's value in a cell."""
    return NONE if value is None else task.value_text(scale, value)


def _or_none(text: Callable[[float], str]) -> Callable[[float | None], str]:
    return lambda value: NONE if value is None else text(value)
