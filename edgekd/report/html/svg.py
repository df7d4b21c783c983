"""SVG elements and axes; every text and attribute is escaped where it becomes markup."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from markupsafe import Markup
from markupsafe import escape

WIDTH = 600.0
"""Units across every drawing; a page scales it."""
COLOURS = 6
"""Classes ``c0`` to ``c5`` of the style sheet."""
CHARACTER = 6.6
"""Estimated width of one at the style sheet's size of labels."""


class PlotAxis(NamedTuple):
    """Values from `low` to `high`, drawn from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value stands; what lies beyond an end stands there."""
        value = min(max(value, self.low), self.high)
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Round numbers within the axis."""
        found = round_steps(self.low, self.high, most)
        if not self.logarithmic:
            return found
        for multiples in ((1, 2, 5), (1, 3), (1,)):
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            rounded = [float(f"{m}e{power}") for power in decades for m in multiples]
            inside = [value for value in rounded if self.low <= value <= self.high]
            if len(inside) <= most:
                break
        return inside if len(inside) >= 3 else found


def round_steps(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from `low` to `high`, at most `most` and one."""
    if not high > low:
        return [low]
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step *= next((m for m in (1, 2, 5) if (high - low) / (step * m) <= most), 10)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def widen(values: Iterable[float], share: float = 0.08) -> tuple[float, float]:
    """The ends of an axis that leaves room on both sides.

    Raises:
        ValueError: if there are no values.
    """
    found = list(values)
    low, high = min(found), max(found)
    room = share * (high - low) or abs(high) * 0.05 or 1.0
    return low - room, high + room


def widen_log(values: Iterable[float], share: float = 0.08) -> tuple[float, float]:
    """The same of values above 0 on a logarithmic axis."""
    low, high = widen([math.log10(value) for value in values], share)
    return 10**low, 10**high


def element(name: str, *children: object, **attributes: object) -> Markup:
    """One element; ``class_`` and ``data_row`` are spelled ``class`` and ``data-row``, numbers with one decimal.

    Args:
        name: of the element.
        children: `Markup`, or text that is escaped.
        attributes: None leaves one out.
    """
    said = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _plain(value))
        for key, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), said, inside)  # our own names


def _plain(value: object) -> object:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value


def text(x: float, y: float, words: object, class_: str = "", anchor: str = "start") -> Markup:
    """Words at a place."""
    return element("text", words, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def shorten(name: str, most: int) -> str:
    """A name of at most so many characters; its end is what is left out."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)


def path(points: Iterable[tuple[float, float]], class_: str) -> Markup:
    """A line through points."""
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return element("polyline", points=joined, class_=class_)


def drawing(label: str, height: float, *children: Markup, role: str = "img") -> Markup:
    """The whole drawing.

    Args:
        label: what it shows, for who does not see it.
        height: in the units of `WIDTH`.
        children: its elements.
        role: ``group`` where some of them can be focused.
    """
    box = f"0 0 {WIDTH:.0f} {height:.0f}"
    name = None if role == "img" else label
    title = (element("title", label),) if role == "img" else ()
    return element("svg", *title, *children, viewBox=box, role=role, aria_label=name)


def frame(
    x: PlotAxis,
    y: PlotAxis,
    x_label: str,
    y_label: str,
    *,
    percent: bool = False,
    whole: bool = False,
    most: int = 6,
) -> Markup:
    """Grid, ticks and names of two axes; the y axis has its name above it.

    Args:
        x: across.
        y: up.
        x_label: name of the one.
        y_label: name of the other.
        percent: whether what goes up is a fraction.
        whole: whether what goes across is counted.
        most: ticks of each.
    """
    parts = []
    left, right = sorted((x.start, x.end))
    top, bottom = sorted((y.start, y.end))
    for value in y.ticks(most):
        at = y.place(value)
        shown = f"{100 * value:.6g} %" if percent else f"{value:.6g}"
        parts += [line(left, at, right, at, "grid"), text(left - 6, at + 4, shown, "tick", "end")]
    parts.append(frame_x(x, top, bottom, x_label, whole=whole, most=most))
    parts.append(text(4.0, top - 14, y_label, "axis"))
    return Markup("").join(parts)


def frame_x(
    x: PlotAxis,
    top: float,
    bottom: float,
    label: str,
    *,
    whole: bool = False,
    powers: bool = False,
    most: int = 6,
) -> Markup:
    """Grid, ticks and name of what goes across.

    Args:
        x: the axis.
        top: where its grid begins.
        bottom: where it ends.
        label: its name.
        whole: whether only whole numbers are.
        powers: whether ticks are written as powers of ten.
        most: ticks.
    """
    parts = []
    for value in x.ticks(most):
        if whole and value != round(value):
            continue
        at = x.place(value)
        shown = f"{value:.0e}" if powers else f"{value:.6g}"
        parts += [
            line(at, top, at, bottom, "grid"),
            text(at, bottom + 17, shown, "tick", "middle"),
        ]
    parts.append(text((x.start + x.end) / 2, bottom + 35, label, "axis", "middle"))
    return Markup("").join(parts)
