"""Makes tables of the stages' findings layer by layer; the files beside hold all of it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import NamedTuple

from edgekd.report.quantization_tables import NONE
from edgekd.report.quantization_tables import Content
from edgekd.report.quantization_tables import Rows
from edgekd.report.quantization_tables import count_or_none
from edgekd.report.quantization_tables import describe_blocks
from edgekd.report.quantization_tables import describe_quantized
from edgekd.report.quantization_tables import list_blocks
from edgekd.report.quantization_tables import list_costs
from edgekd.report.quantization_tables import number_or_none
from edgekd.units import count_text
from edgekd.units import percent_text

LONGEST = 200
"""Rows shown of one table."""
SUFFIX = ".json"


class PageTable(NamedTuple):
    """One table of a page."""

    title: str
    file: str
    """Where all of it stands."""
    lead: tuple[str, ...]
    """Sentences before it."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int
    """Rows that are only in the file."""


def make_tables(found: Mapping[str, Content]) -> tuple[PageTable, ...]:
    """One table a file.

    Args:
        found: content by file name: ``factorize-2.json`` of the second step of that kind.
    """
    return tuple(_table(name, found[name]) for name in sorted(found))


def list_missed_budgets(found: Mapping[str, Content]) -> list[str]:
    """A sentence for each step that was to make the model smaller and missed what its recipe asks for."""
    return [
        f"{name.removesuffix(SUFFIX)}: its budget is not met: {content.get('decision') or content['why']}."
        for name, content in sorted(found.items())
        if content.get("budget_met") is False
    ]


def name_file(file: str, label: str) -> str:
    """Name a table of a run, ``sensitivity-asymmetric.json``: its file, told apart by what its step's label adds.

    Args:
        file: as a step writes it, of `FILES`.
        label: of that step: ``quantize-asymmetric``.
    """
    _, dash, which = label.partition("-")
    return f"{file.removesuffix(SUFFIX)}{dash}{which}{SUFFIX}"


def _table(name: str, content: Content) -> PageTable:
    """As `name_file` names it."""
    kind, _, which = name.removesuffix(SUFFIX).partition("-")
    title, lead, columns, rows = KINDS[kind]
    found = rows(content)
    return PageTable(
        f"{title} ({which})" if which else title,
        name,
        tuple(lead(content)),
        columns if found else (),
        tuple(found[:LONGEST]),
        max(0, len(found) - LONGEST),
    )


def _factorized(content: Content) -> Iterator[str]:
    yield _sentence(content["why"])
    if content["end_to_end"] is not None:
        yield _side_by_side(content["end_to_end"])


def _factors(content: Content) -> Rows:
    return [
        (
            row["path"],
            count_or_none(row["parameters"]),
            _structure(row),
            number_or_none(row["dense_us"]),
            number_or_none(
                row["dense_us"] * (1 - row["gain"]) if row["gain"] is not None else None
            ),
            number_or_none(row["error"]),
            row["reason"],
        )
        for row in content["layers"]
    ]


def _structure(row: Content) -> str:
    if row["structure"] is None:
        return "dense"
    return f"{row['structure']}, rank {' and '.join(map(str, row['ranks']))}"


def _pruned(content: Content) -> Iterator[str]:
    yield _sentence(content["decision"])
    if content["measured"]:
        yield _side_by_side(content["measured"][-1])
    for what, name in (("macs", "MACs"), ("parameters", "Parameters")):
        before, after = content[f"{what}_before"], content[f"{what}_after"]
        if before != after:
            yield f"{name}: {count_text(before)} before, {count_text(after)} after."
    for group in content["left_alone"]:
        yield f"Left alone: {group['path']}: {group['reason']}."


def _widths(content: Content) -> Rows:
    return [
        (row["path"], *(f"{a} → {b}" if a != b else f"{a}" for a, b in _changes(row)))
        for row in content["layers"]
        if row["before"] != row["after"]
    ]


def _changes(row: Content) -> Iterator[tuple[int, int]]:
    return zip(row["before"], row["after"], strict=True)


def _compared(content: Content) -> Iterator[str]:
    if content["trained_beside"]:
        trained = count_text(content["trained_beside"])
        yield f"Trained beside the student and not shipped: {trained} parameters."


def _pairs(content: Content) -> Rows:
    return [
        (
            row["loss"],
            row["student"],
            _shape(row["student_shape"]),
            row["teacher"],
            _shape(row["teacher_shape"]),
            count_or_none(row["companion_parameters"]),
        )
        for row in content["layers"]
    ]


def _shape(shape: list[int]) -> str:
    """Without the batch."""
    return " x ".join(map(str, shape[1:])) or NONE


def _deployed(content: Content) -> Iterator[str]:
    yield (
        f"Before export and quantization {content['modules']} modules were merged: "
        f"{content['convolutions_after']} convolutions in place of {content['convolutions_before']}, "
        f"logits within {number_or_none(content['difference'])} of the largest."
    )
    if content["left"]:
        yield f"Left as trained, since merged they answer otherwise: {', '.join(content['left'])}."


def _synthesized(content: Content) -> Iterator[str]:
    if "mean_nats" in content:
        yield from _written(content)
        return
    yield (
        f"{content['count']} images by {content['method']}; the teacher is "
        f"{percent_text(content['mean_confidence'])} sure of them on average and names "
        f"{content['classes_named']} classes."
    )
    apart, noise = content["batch_norm_distance"], content["batch_norm_distance_of_noise"]
    if apart is not None:
        yield f"As its batch norms remember its data they are {number_or_none(apart)} off, noise {number_or_none(noise)}."


def _written(content: Content) -> Iterator[str]:
    yield (
        f"{content['count']} texts by {content['method']}, {count_text(content['tokens'])} tokens; of its own words the "
        f"teacher is {number_or_none(content['mean_nats'])} nats a token unsure, and "
        f"{percent_text(content['distinct_share'])} of the texts are different."
    )
    if content["prompted"]:
        yield "The teacher went on from the beginnings of training texts."
    else:
        yield "Without data: the student learned from no text of the corpus, on which it is only scored."


KINDS: dict[
    str,
    tuple[str, Callable[[Content], Iterator[str]], tuple[str, ...], Callable[[Content], Rows]],
] = {
    "deploy": ("Deploy form", _deployed, (), lambda content: []),
    "factorize": (
        "Low rank, layer by layer",
        _factorized,
        ("layer", "parameters", "becomes", "us dense", "us split", "error", "why"),
        _factors,
    ),
    "layers": (
        "Layers compared",
        _compared,
        ("loss", "student", "shape", "teacher", "shape", "trained beside"),
        _pairs,
    ),
    "prune": (
        "Pruning, layer by layer",
        _pruned,
        ("layer", "channels in", "channels out"),
        _widths,
    ),
    "rounding": (
        "Weights in blocks",
        describe_blocks,
        ("layer", "bits", "block", "weights", "why"),
        list_blocks,
    ),
    "sensitivity": (
        "What each layer's quantization costs",
        describe_quantized,
        ("layer", "bits", "weights", "cost of weights", "cost of input"),
        list_costs,
    ),
    "synthesis": ("Samples made by the teacher", _synthesized, (), lambda content: []),
}
"""By the file's name: title, sentences, columns, rows."""
FILES = frozenset(f"{kind}{SUFFIX}" for kind in KINDS)
"""What steps say layer by layer."""


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _side_by_side(timed: Content) -> str:
    text = (
        f"Beside what it was, on the device: {timed['before_ms']:.3g} ms before, "
        f"{timed['after_ms']:.3g} ms after, {timed['ratio']:.2f} times as fast"
    )
    if timed["ratio_ci95"] is None:
        return f"{text}."
    low, high = timed["ratio_ci95"]
    return f"{text} (95 % interval {low:.2f} to {high:.2f})."
