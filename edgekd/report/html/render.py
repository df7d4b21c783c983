"""Fills the templates of pages: every text is escaped, and nothing is loaded from anywhere."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from markupsafe import Markup

from edgekd.bench.status import status_text
from edgekd.printable import escape_unprintable
from edgekd.report.html.frontier import interval_text
from edgekd.task import Scale
from edgekd.task import drop_text
from edgekd.task import value_text
from edgekd.units import bytes_text
from edgekd.units import count_text
from edgekd.units import duration_text
from edgekd.units import percent_text

FOLDER = Path(__file__).parent
NONE = "–"
ROUNDING = 1e-6
"""A difference below this is that of two ways to add up."""


def render_page(template: str, **values: Any) -> str:
    """A Jinja2 template of this folder, filled; every text is escaped, and what a template names and is not given is
    an error.

    The page forbids its reader to load anything, and to run any script but its own.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    scale: Scale = values["scale"]
    environment.filters.update(
        because=status_text,
        figure=lambda value, of=scale: NONE if value is None else value_text(of, value),
        interval=lambda ends, of=scale: "" if ends is None else interval_text(ends, of),
        cost=lambda value: NONE if value is None else cost_text(scale, value),
        percent=lambda value: NONE if value is None else percent_text(value),
        size=lambda value: NONE if value is None else bytes_text(value),
        count=lambda value: NONE if value is None else count_text(value),
        duration=lambda value: NONE if value is None else duration_text(value),
        ms=lambda value, unit="": NONE if value is None else f"{value:.3g}{unit}",
        small=lambda value: NONE if value is None else f"{value:.1e}",
        limit=_limit_text,
    )
    style, script = ((FOLDER / name).read_text("utf-8") for name in ("page.css", "page.js"))
    filled = environment.get_template(template).render(
        **values,
        style=Markup(style),  # our own file
        script=Markup(script),  # our own file
        style_digest=_digest(style),
        script_digest=_digest(script),
    )
    return escape_unprintable(filled, keep="\n")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def cost_text(scale: Scale, drop: float) -> str:
    """How much worse a score is: ``−1.74 points`` of a step that lost some, ``0.72 RMSE worse`` of another number."""
    if scale.unit == "fraction" and scale.better == "higher":
        sign = "−" if drop > 0 else "+" if drop < 0 else "±"
        return f"{sign}{drop_text(scale, drop)}"
    if abs(drop) < ROUNDING:
        return "the same"
    return f"{drop_text(scale, drop)} {'worse' if drop > 0 else 'better'}"


def _limit_text(value: Any) -> str:
    if value is None:
        return NONE
    return f"{value:.4g}" if isinstance(value, float) else str(value)
