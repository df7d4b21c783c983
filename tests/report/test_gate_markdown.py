from __future__ import annotations

import pytest

from edgekd.report import gate_markdown
from edgekd.report import gate_result
from tests import gate_example


def lines(*outcomes, **other) -> list[str]:
    return gate_markdown.summary_page(gate_example.document(*outcomes, **other)).splitlines()


def test_a_row_has_got_allowed_interval_and_verdict() -> None:
    one = gate_example.outcome(
        "latency", unit="ratio", got=1.012, allowed=1.05, interval=(0.99, 1.03), text="fine"
    )
    told = lines(gate_example.outcome(), one)
    assert told[0] == gate_markdown.MARK and "✅ edgekd gate: no gate failed" in told[1]
    assert told[3] == "| gate | got | allowed | 95 % interval | verdict |  |"
    assert told[6] == "| latency | 1.012x | 1.050x | 0.990x to 1.030x | ✅ pass | fine |"


def test_a_side_that_guesses_is_named() -> None:
    made = gate_example.document()
    assert not gate_result.list_warnings(made) and "near_chance" not in made.model_dump()["run"]
    guessing = made.run.model_copy(update={"near_chance": True})
    (told,) = [line for line in lines(run=guessing) if "near chance" in line]
    assert told.startswith(f"Warning: {gate_markdown.escape_cell(guessing.given)}: its student")


@pytest.mark.parametrize(
    ("verdict", "counts", "title", "sign"),
    [
        ("fail", True, "❌ edgekd gate: 1 failed", "❌ fail"),
        ("inconclusive", True, "❔ edgekd gate: nothing failed, but", "❔ inconclusive"),
        ("inconclusive", False, "✅ edgekd gate: no gate failed", "⚠️ warning"),
    ],
)
def test_titles(verdict: str, counts: bool, title: str, sign: str) -> None:
    told = lines(gate_example.outcome(verdict=verdict, counts=counts))
    assert title in told[1] and f"| {sign} |" in told[5]


def test_hostile_text_cannot_leave_its_cell_nor_call_anybody() -> None:
    text = "a | b\n\n# title <script> @everyone [x](http://evil.example) `code` #12"
    facts = gate_example.document().run.model_copy(update={"name": text})
    page = "\n".join(lines(gate_example.outcome(text, text=text), run=facts))
    row = next(line for line in page.splitlines() if "title" in line)
    assert row.replace("\\|", "").count("|") == 7
    for bad in ("@everyone", "<script", "](", "http://", "\n# title", " #12"):
        assert bad not in page.replace("\\<", "").replace("\\[", "").replace("\\]", "")


def test_a_page_fits_into_a_comment() -> None:
    many = [gate_example.outcome(text="x" * 1000) for _ in range(100)]
    page = "\n".join(lines(*many))
    assert len(page) < 65_536 and page.endswith("(cut)")
