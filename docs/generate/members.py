"""Methods, models and sources as pages, from their tables; methods with what was measured of them."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from edgekd.cli.methods import read_measurements
from edgekd.learn.data import SOURCES
from edgekd.learn.losses import FAMILIES
from edgekd.learn.models import MODELS
from edgekd.learn.schemes import SCHEMES
from edgekd.table import Member
from edgekd.table import find_signature


def methods_page() -> str:
    """Losses by family and schemes, each with its knobs and its measured rows."""
    measured = read_measurements()
    pairs = measured["pairs"]
    lines = [
        "# Methods",
        "",
        "`edgekd methods NAME` shows the formula, its source and the settings. Figures are points of accuracy above the same student "
        "without the method, with the 95 % interval where there are three seeds: Fashion-MNIST at half its side, very short training, "
        "default weights, nothing tuned but the rate. Fewer seeds call nothing better or worse, and are grey. How they were measured: "
        "`benchmarks/methods`.",
        "",
        *(f"- `{pair}`: {words}" for pair, words in pairs.items()),
    ]
    for family, members in {**FAMILIES, "schemes": SCHEMES}.items():
        lines += ["", f"## {family}", "", f"| method | | settings | {' | '.join(pairs)} |"]
        lines += ["|---|---|---|" + "---|" * len(pairs)]
        for name, member in sorted(members.items()):
            rows = measured["methods"].get(name, {})
            cells = [_measured(rows.get(pair)) for pair in pairs]
            lines.append(
                f"| `{name}` | {_text(member.summary)} | {_knobs(member)} | {' | '.join(cells)} |"
            )
    return "\n".join(lines) + "\n"


def models_page() -> str:
    """The model builders."""
    head = ["# Models", "", "`edgekd models NAME` shows the settings of one."]
    return _plain_page(head, MODELS)


def sources_page() -> str:
    """The data sources."""
    head = ["# Sources", "", "Where data comes from: `data: {source: NAME}`, or `NAME:REFERENCE`."]
    return _plain_page(head, SOURCES)


def _plain_page(head: Iterable[str], table: Mapping[str, Member]) -> str:
    lines = [*head, "", "| name | | settings |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {_text(member.summary)} | {_knobs(member)} |"
        for name, member in table.items()
    ]
    return "\n".join(lines) + "\n"


def _knobs(member: Member) -> str:
    names = [
        knob for knob in find_signature(member).knobs.model_fields if knob not in member.preset
    ]
    return ", ".join(f"`{name}`" for name in names)


def _measured(row: Mapping[str, Any] | None) -> str:
    """`+1.79 (+1.11 to +2.48)`; grey without an interval, empty where nothing was measured."""
    if row is None or row["control_difference"] is None:
        return ""
    text = f"{100 * row['control_difference']:+.2f}"
    if row["interval"] is None:
        few = "one seed" if row["seeds"] == 1 else "no interval"
        return f'<span style="color:#999999">{text}, {few}</span>'
    low, high = (100 * end for end in row["interval"])
    return f"{text} ({low:+.2f} to {high:+.2f})"


def _text(text: str) -> str:
    return text.replace("|", "\\|")
