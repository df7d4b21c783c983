"""What engines made of the graphs: how many kernels read which type, and what ran in float inside int8."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from markupsafe import Markup

from edgekd.report.html import svg
from edgekd.report.result import Result

LONG, THICK = 160.0, 14.0
ORDER = (0, 3, 1, 5)
"""Colours of integers, halves, floats, and of what is only moved or counted."""
INTEGERS, HALVES = ("u8", "s8", "i8", "u4", "s4", "i4"), ("bf16", "fp16", "f16")
FLOATS = ("f32", "f64")


class KernelCoverage(NamedTuple):
    """The kernels of one compiled model."""

    name: str
    """Of its first row; the number of threads changes nothing."""
    profile: str
    kernels: str
    """``9 QLinearConv u8, 1 Add f32``."""
    types: str
    """``16 u8, 2 f32``."""
    bar: Markup
    """The shares of the types."""
    islands: tuple[Mapping[str, str], ...]


def list_kernels(result: Result) -> list[KernelCoverage]:
    """One of each engine and precision that says what it runs."""
    first = {(row.runtime, row.precision): row for row in reversed(result.candidates)}
    return [
        KernelCoverage(
            row.name,
            row.profile,
            ", ".join(f"{count} {kernel}" for kernel, count in row.kernels.items()),
            ", ".join(f"{count} {kind}" for kind, count in count_types(row.kernels)),
            draw_types(row.kernels),
            row.islands,
        )
        for row in reversed(first.values())
        if row.kernels
    ]


def count_types(kernels: Mapping[str, int]) -> list[tuple[str, int]]:
    """How many kernels read each type, integers first.

    Args:
        kernels: of a row, by name and type.
    """
    counts: Counter[str] = Counter()
    for kernel, count in kernels.items():
        counts[kernel.rpartition(" ")[2]] += count
    return sorted(counts.items(), key=lambda item: (ORDER.index(_colour(item[0])), item[0]))


def draw_types(kernels: Mapping[str, int]) -> Markup:
    """A bar with a part a type: integers, halves, floats."""
    types = count_types(kernels)
    total = sum(count for _, count in types) or 1
    parts, left = [], 0.0
    for kind, count in types:
        width = LONG * count / total
        look = f"mark c{_colour(kind)}"
        parts.append(svg.element("rect", x=left, y=0.0, width=width, height=THICK, class_=look))
        left += width
    return svg.element(
        "svg", *parts, viewBox=f"0 0 {LONG:.0f} {THICK:.0f}", class_="bar", aria_hidden="true"
    )


def _colour(kind: str) -> int:
    return 0 if kind in INTEGERS else 3 if kind in HALVES else 1 if kind in FLOATS else 5
