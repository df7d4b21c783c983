"""What stands in a bundle for people: MODEL_CARD.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd.report.markdown import render


def text(name: str, version: str, values: Mapping[str, Any]) -> str:
    """The card of a bundle.

    Args:
        name: of the recipe.
        version: of edgekd.
        values: ``data``, ``rows``, ``choice`` and ``test`` as the stages wrote them; ``test`` may be
            empty.

    Raises:
        ValueError: if nothing was chosen.
    """
    chosen = values["choice"]["chosen"]
    row = next((row for row in values["rows"] if row["name"] == chosen), None)
    if row is None:
        raise ValueError(f"chosen: got {chosen!r}, want a row that was measured")
    return render(
        Path(__file__).parent / "card.md.j2",
        name=name,
        version=version,
        data=values["data"],
        row=row,
        accuracy=values["test"].get("candidates", {}).get(chosen),
    )
