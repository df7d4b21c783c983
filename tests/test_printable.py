"""Escapes and marks of direction in a name reach no terminal, page, plot, log or list of tests."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies

from edgekd import display as displays
from edgekd.cli import border
from edgekd.cli import screen
from edgekd.errors import InputError
from edgekd.printable import escape_unprintable
from edgekd.recipe.text import input_error
from edgekd.report import card
from edgekd.report import explanation
from edgekd.report import explanation_plot
from edgekd.report import gate_annotations
from edgekd.report import gate_junit
from edgekd.report import gate_markdown
from edgekd.report import markdown
from edgekd.report import plot
from tests import explanation_example
from tests import gate_example
from tests import report_example

HOSTILE = "a\x1b]0;owned\x07\x1b[2J\x9b31mb\u202egnp.exe\u2066\u200b\x7f\r\x00$\\frac{$"
"""Orders to a terminal in 7 and 8 bits, marks of direction, a zero width, a return, half a formula."""
CLI = Path(screen.__file__).parent


def is_harmless(text: str) -> bool:
    return all(c.isprintable() or c in "\n\t" for c in text)


def hostile(value: Any) -> Any:
    """`value` with every text in it made hostile, keys and all that is no text as they are."""
    if isinstance(value, dict):
        return {key: hostile(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [hostile(inner) for inner in value]
    return value + HOSTILE if isinstance(value, str) else value


def report_page() -> str:
    result = report_example.result(
        recipe=HOSTILE, models=dict.fromkeys(report_example.files()["models"], HOSTILE)
    )
    made = explanation.make_section(
        explanation_example.content(classes=[f"{n}{HOSTILE}" for n in range(6)])
    )
    return markdown.report_page(result.model_copy(update={"warnings": [HOSTILE]}), (), made)


def card_page() -> str:
    values = {name: report_example.files()[name] for name in ("rows", "choice", "test", "data")}
    label = {"kind": "class", "names": [HOSTILE, "b"]}
    values["data"] = {**values["data"], "targets": {HOSTILE: label}, "source": HOSTILE}
    ends = [{"name": HOSTILE, "dtype": HOSTILE, "shape": ["batch", HOSTILE]}]
    values["interface"] = {"inputs": ends, "outputs": ends}
    return card.card_text(HOSTILE, HOSTILE, {**values, "lineage": {HOSTILE: HOSTILE}})


def gate_document() -> Any:
    outcome = gate_example.outcome(gate=HOSTILE, verdict="fail", text=HOSTILE)
    return gate_example.document(outcome, device=HOSTILE)


def class_gains() -> str:
    content = explanation_example.content()
    names = [f"{n}{HOSTILE}" for n in range(6)]
    return explanation_plot.draw_class_gains(content["by_class"], names, "svg").decode()


def row_names() -> str:
    rows = report_example.rows()
    for row in rows:
        row["name"] += HOSTILE
    return plot.draw_score_latency(report_example.result(rows=rows), "svg").decode()


def screen_text() -> str:
    @click.command()
    def command() -> None:
        screen.echo(HOSTILE)
        screen.echo(HOSTILE, err=True)
        screen.print_columns([(HOSTILE, "x"), ("y", HOSTILE)])
        screen.print_json({"name": HOSTILE})
        display = displays._Plain(0.0)
        display.stage(HOSTILE)
        display.update(1, 2, HOSTILE)
        display.close("ended")
        border.print_ending(border._ending(InputError(HOSTILE, hint=HOSTILE)), as_json=False)
        border.print_ending(border._ending(InputError(HOSTILE, hint=HOSTILE)), as_json=True)

    ran = CliRunner().invoke(command, catch_exceptions=False)
    return ran.output


WRITERS: dict[str, Callable[[], str]] = {
    "report": report_page,
    "card": card_page,
    "gate page": lambda: gate_markdown.summary_page(gate_document()),
    "junit": lambda: gate_junit.junit_xml(gate_document()).decode(),
    "annotations": lambda: "\n".join(gate_annotations.annotation_lines(gate_document())),
    "class gains": class_gains,
    "row names": row_names,
    "screen": screen_text,
    "recipe": lambda: str(input_error(HOSTILE, (HOSTILE,), HOSTILE)),
    "error": lambda: InputError(HOSTILE, hint=HOSTILE).line(),
}


@pytest.mark.parametrize("name", WRITERS)
def test_no_writer_passes_on_what_a_reader_would_act_on(name: str) -> None:
    text = WRITERS[name]()
    assert is_harmless(text)
    assert "owned" in text, "the name has to have come through at all"


def test_a_hostile_list_of_tests_is_still_xml() -> None:
    ElementTree.fromstring(gate_junit.junit_xml(gate_document()))


@given(strategies.text())
def test_what_is_plainly_visible_stays_and_nothing_else_does(text: str) -> None:
    escaped = escape_unprintable(text)
    assert escaped.isprintable()
    visible = "".join(c for c in text if c.isprintable())
    assert escaped == text if visible == text else len(escaped) > len(text)


def test_letters_of_any_script_stay() -> None:
    assert escape_unprintable("t-shirt, 靴, обувь, حذاء, é") == "t-shirt, 靴, обувь, حذاء, é"
    assert escape_unprintable("a\nb\x1b", keep="\n") == "a\nb\\x1b"


def test_a_verb_prints_by_the_screen_alone() -> None:
    """`click.echo` writes what it is given; only these may call it, on text of our own."""
    allowed = {"screen.py", "border.py", "completion.py"}
    for path in sorted(CLI.rglob("*.py")):
        calls = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call))
        printed = [
            n for n in calls if ast.unparse(n.func) in ("click.echo", "click.secho", "print")
        ]
        ours = [n for n in printed if not n.args]  # an empty line
        assert len(printed) == len(ours) or path.name in allowed, path
