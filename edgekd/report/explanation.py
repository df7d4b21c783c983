"""What the student learned, in sentences and tables for people; all of it stands in explain.json."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from edgekd.bench.roles import CONTROL
from edgekd.bench.roles import ROLES
from edgekd.bench.roles import STUDENT
from edgekd.bench.roles import find_reference
from edgekd.report import score_explanation
from edgekd.report.score_explanation import list_roles
from edgekd.report.score_explanation import name_reference
from edgekd.report.score_explanation import name_role
from edgekd.report.tables import PageTable
from edgekd.units import percent_text

FILE = "explain.json"
CERTAIN = 0.05
"""A p-value below this, after Holm's correction, is no chance."""
TEMPERATURES = (0.011, 90.0)
"""Beyond these the search for the best one ended at its limit."""
MOST_ROWS = 30
"""Rows shown of one table."""
NONE = "–"
Content = Mapping[str, Any]


class ExplanationSection(NamedTuple):
    """The section of the page about the explanation."""

    lead: tuple[str, ...]
    tables: tuple[PageTable, ...]
    pictures: dict[str, str]
    """What each shows, by file name."""


def make_section(content: Content) -> ExplanationSection:
    """Make the section from explain.json."""
    pictures = {}
    tables = [score_explanation.metrics_table(content, FILE)]
    if "classes" in content:
        tables.append(_sureness_table(content))
        pictures["reliability.svg"] = "confidence against accuracy"
    if "by_class" in content:
        tables += [_classes(content), _confusions(content)]
        first = min(content["by_class"][0]["above"])
        pictures["class_gains.svg"] = f"accuracy of each class beside the {first}"
    if content["ablation"]:
        tables.append(score_explanation.terms_table(content, FILE))
    if content["similarity"]:
        pictures["layer_similarity.svg"] = "similarity of the layers"
    return ExplanationSection(tuple(_lead(content)), tuple(tables), pictures)


def _lead(content: Content) -> Iterator[str]:
    yield f"On the {content['samples']} {content['split']} samples, in torch, float32."
    yield from score_explanation.agreement_sentences(content)
    if "by_class" in content:
        yield from _same_classes(content)
        yield from _where(content)
    if "classes" in content:
        yield _sureness(content)
    yield from _alike(content["similarity"])
    if "attack" in content:
        yield _misled(content["attack"])
    yield from content["left_out"]


def _misled(attack: Content) -> str:
    found = {role: attack["accuracy"][role] for role in ROLES if role in attack["accuracy"]}
    shares = ", ".join(f"{role} {percent_text(share)}" for role, share in found.items())
    return (
        f"On {attack['samples']} images changed by at most {attack['epsilon']:g} of full scale to mislead each of "
        f"them ({attack['steps']} steps), they are right on: {shares}. A stronger attack may find more."
    )


def _same_classes(content: Content) -> Iterator[str]:
    found, reference = content["fidelity"], name_reference(content)
    student, control = found[STUDENT], found.get(CONTROL)
    same = near = ""
    if control is not None:
        change = score_explanation.change_text(found["above_control"])
        same = f", its control on {_share(control)}: {change}"
        near = f", the control's {control['kl_nats']:.3g}"
    yield f"The student names the same class as {reference} on {_share(student)}{same}."
    whose = find_reference(content["models"])
    yield (
        f"Its probabilities are {student['kl_nats']:.3g} nats from the {whose}'s (mean divergence){near}."
    )


def _where(content: Content) -> Iterator[str]:
    """Classes won and lost beyond chance, against each of the others."""
    for other in content["above"]:
        rows = [
            (row["above"][other]["points"], content["classes"][row["number"]])
            for row in content["by_class"]
            if row["above"][other]["p_holm"] < CERTAIN
        ]
        won = [
            f"{name} ({points:+.1f})" for points, name in sorted(rows, reverse=True) if points > 0
        ]
        lost = [f"{name} ({points:+.1f})" for points, name in sorted(rows) if points < 0]
        if not rows:
            yield f"Beside {name_role(other)} no single class is better or worse beyond chance."
        if won:
            yield f"Classes better than {name_role(other)}'s beyond chance, in points: {_named(won)}."
        if lost:
            yield f"Classes worse than {name_role(other)}'s beyond chance, in points: {_named(lost)}."


def _sureness(content: Content) -> str:
    models = content["models"]
    errors = {role: percent_text(models[role]["calibration_error"]) for role in list_roles(content)}
    own = errors.pop(STUDENT)
    others = ", ".join(f"{role} {error}" for role, error in errors.items())
    temperature = models["student"]["temperature"]
    side = "too sure of itself" if temperature > 1 else "not sure enough"
    mended = f"; it is {side}: logits divided by {temperature:.2f} would fit these samples best"
    low, high = TEMPERATURES
    return (
        f"Its confidence is off by {own} on average{f' ({others})' if others else ''}"
        f"{mended if low < temperature < high else ''}."
    )


def _alike(found: Sequence[Content]) -> Iterator[str]:
    """Yield how near the student's layers are to the teacher's, and whether nearer than the control's."""
    nearest = {pair["other"]: _nearest(pair["cka"]) for pair in found}
    known = {role: value for role, value in nearest.items() if value is not None}
    if "student" in known:
        beside = f", the control's {known['control']:.3f}" if "control" in known else ""
        yield (
            f"Its layers reach a similarity (CKA) of {known['student']:.3f} with the {found[0]['one']}'s most alike "
            f"layer, on average{beside}."
        )


def _nearest(values: Sequence[Sequence[float | None]]) -> float | None:
    """Mean over the columns of the greatest of each; None where nothing is known."""
    columns = [[v for v in column if v is not None] for column in zip(*values, strict=True)]
    greatest = [max(column) for column in columns if column]
    return sum(greatest) / len(greatest) if greatest else None


def _sureness_table(content: Content) -> PageTable:
    rows = [
        (
            role,
            percent_text(found["accuracy"]),
            _interval(found["accuracy_ci95"], 100, 2),
            f"{found['likelihood_nats']:.4f}",
            f"{found['brier']:.4f}",
            percent_text(found["calibration_error"]),
            percent_text(found["adaptive_calibration_error"]),
            f"{found['temperature']:.3f}",
        )
        for role, found in ((role, content["models"][role]) for role in list_roles(content))
    ]
    columns = ("", "accuracy", "95 % interval", "nats", "Brier", "calibration error", "adaptive")
    lead = (
        "Nats are the mean negative log-likelihood. The calibration error takes 15 bins of equal width, "
        "the adaptive one 15 of as many samples. Dividing logits by the temperature calibrates best.",
    )
    return PageTable("How sure", FILE, lead, (*columns, "temperature"), tuple(rows), 0)


def _classes(content: Content) -> PageTable:
    """The classes that won most and lost most beside the control, or else what the run began with."""
    roles, above = list_roles(content), sorted(content["by_class"][0]["above"])
    found = sorted(content["by_class"], key=lambda row: -row["above"][above[0]]["points"])
    half = MOST_ROWS // 2
    shown = found if len(found) <= MOST_ROWS else [*found[:half], *found[-half:]]
    rows = tuple(
        (
            content["classes"][row["number"]],
            str(row["samples"]),
            *(percent_text(row["accuracy"][role]) for role in roles),
            *(
                text
                for other in above
                for text in (
                    f"{row['above'][other]['points']:+.2f}",
                    f"{row['above'][other]['p_holm']:.2g}",
                )
            ),
        )
        for row in shown
    )
    beside = [text for other in above for text in (f"above {other}", "p")]
    columns = ("class", "samples", *roles, *beside)
    lead = (
        f"Where the student gained most over {name_role(above[0])} comes first. Differences are in points; p is of "
        "McNemar's exact test, after Holm's correction over the classes.",
    )
    return PageTable("Class by class", FILE, lead, columns, rows, len(found) - len(shown))


def _confusions(content: Content) -> PageTable:
    found, names = content["confusions"], content["classes"]
    reference = find_reference(content["models"])
    rows = tuple(
        (
            names[one[reference]],
            names[one["student"]],
            str(one["samples"]),
            str(one[f"{reference}_right"]),
            str(one["student_right"]),
        )
        for one in found[: MOST_ROWS // 2]
    )
    columns = (
        *(f"{role} says" for role in (reference, STUDENT)),
        "samples",
        *(f"{role} right" for role in (reference, STUDENT)),
    )
    lead = (
        "Every sample on which they name different classes is in disagreements.csv, the farthest apart "
        "first.",
    )
    title = f"Where it says something else than {name_reference(content)}"
    return PageTable(title, FILE, lead, columns if rows else (), rows, len(found) - len(rows))


def _named(words: Sequence[str]) -> str:
    shown = ", ".join(words[: MOST_ROWS // 2])
    more = len(words) - MOST_ROWS // 2
    return f"{shown} and {more} more" if more > 0 else shown


def _share(found: Content) -> str:
    low, high = found["agreement_ci95"]
    return f"{percent_text(found['agreement'])} (95 % interval {percent_text(low)} to {percent_text(high)})"


def _interval(ends: Sequence[float], scale: float, digits: int) -> str:
    return " to ".join(f"{scale * end:.{digits}f}" for end in ends)
