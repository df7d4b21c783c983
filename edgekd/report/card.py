"""What stands in a bundle for people: MODEL_CARD.md; the same values give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd.bench.proportion import wilson
from edgekd.bench.roles import STUDENT
from edgekd.bench.roles import find_reference
from edgekd.report.assemble import class_names
from edgekd.report.assemble import mark_unstable
from edgekd.report.markdown import render_template
from edgekd.task import Scale


def card_text(name: str, version: str, values: Mapping[str, Any]) -> str:
    """The card of a bundle.

    Args:
        name: of the recipe.
        version: of edgekd.
        values: ``data``, ``rows``, ``choice`` and ``test`` as the stages wrote them; ``test`` may be
            empty; ``interface``, what the model takes and gives, as JSON. ``lineage``, label of each step to the key of its result, may be missing.

    Raises:
        ValueError: if nothing was chosen.
    """
    chosen, data = values["choice"]["chosen"], values["data"]
    rows = mark_unstable(values["rows"], values["choice"])
    row = next((row for row in rows if row["name"] == chosen), None)
    if row is None:
        raise ValueError(f"chosen: got {chosen!r}, want a row that was measured")
    test, scale = values["test"], Scale(**values["choice"]["metric"])
    score = test.get("candidates", {}).get(chosen)
    counted = score is not None and test.get("right_or_wrong")
    tested = int((data.get("counts") or {}).get("test", 0))
    image = next((each for each in data["inputs"].values() if "channels" in each), None)
    return render_template(
        Path(__file__).parent / "card.md.j2",
        name=name,
        version=version,
        data=data,
        classes=class_names(data) or [],
        image=image,
        ends=values["interface"],
        row=row,
        engines=[engine for engine in rows if engine["model"] == STUDENT],
        compared=find_reference({engine["model"] for engine in rows}),
        scale=scale,
        by_size=_several(values["choice"].get("by_size")),
        kind="images" if image else "samples",
        score=score,
        tested=tested,
        score_ci95=wilson(score, tested) if counted and tested else None,
        lineage=sorted(values.get("lineage", {}).items()),
    )


def _several(by_size: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A choice by size, unless one engine serves all."""
    rows = {each["row"] for each in by_size["buckets"]} if by_size else set()
    return by_size if len(rows) > 1 else None
