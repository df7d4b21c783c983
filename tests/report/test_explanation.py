from __future__ import annotations

from typing import Any

import pytest

from edgekd.report import explanation
from edgekd.report import markdown
from tests import explanation_example
from tests import report_example


def page(**other: Any) -> str:
    section = explanation.make_section(explanation_example.content(**other))
    return markdown.report_page(report_example.result(), (), section)


def test_the_page_says_where_it_gained_where_it_lost_how_it_differs() -> None:
    content, text = explanation_example.content(), page()
    assert "## What the student learned\n\n- On the 600 validation samples" in text
    student, control = (content["fidelity"][role] for role in ("student", "control"))
    assert f"same class as its teacher on {100 * student['agreement']:.2f} %" in text
    assert f"its control on {100 * control['agreement']:.2f} %" in text
    above = content["above"]["control"]
    assert (
        f"Against its control the student corrects {above['corrected']} samples and loses "
        f"{above['lost']}: {above['points']:+.2f} points (95 % interval " in text
    )
    assert f"{student['kl_nats']:.3g} nats from the teacher's" in text
    assert "most alike layer, on average, the control's 0.850" in text  # of 0.9 and 0.8
    for title in ("How good", "How sure", "Class by class", "What each term brought"):
        assert f"\n### {title}\n" in text
    assert f"| kd | {100 * content['ablation'][0]['score']:.2f} % | -" in text
    assert "\n![similarity of the layers](layer_similarity.svg)\n" in text


def test_classes_are_named_only_beyond_chance() -> None:
    content = explanation_example.content()
    for row in content["by_class"]:
        row["above"]["control"] |= {"points": 0.0, "p_holm": 1.0}
        row["above"]["teacher"] |= {"points": -3.0, "p_holm": 0.6}
    content["by_class"][1]["above"]["teacher"] |= {"points": -9.0, "p_holm": 0.01}
    content["by_class"][2]["above"]["teacher"] |= {"points": 7.0, "p_holm": 0.02}
    text = "\n".join(explanation.make_section(content).lead)
    assert "Beside its control no single class is better or worse beyond chance." in text
    assert "Classes better than its teacher's beyond chance, in points: pull|over (+7.0)." in text
    assert "Classes worse than its teacher's beyond chance, in points: trouser (-9.0)." in text


def test_many_classes_are_cut_to_those_that_changed_most() -> None:
    content = explanation_example.content()
    row = content["by_class"][0]
    content["classes"] = [f"class-{number}" for number in range(100)]
    content["by_class"] = [
        {
            **row,
            "number": n,
            "above": {**row["above"], "control": {"points": float(n), "p_holm": 1}},
        }
        for n in range(100)
    ]
    table = explanation.make_section(content).tables[2]
    assert len(table.rows) == 30 and table.left_out == 70
    assert table.rows[0][0] == "class-99" and table.rows[-1][0] == "class-0"


@pytest.mark.parametrize(
    ("temperature", "words"),
    [
        (1.7, "it is too sure of itself: logits divided by 1.70"),
        (0.6, "it is not sure enough: logits divided by 0.60"),
        (0.01, ""),
    ],
)
def test_sureness(temperature: float, words: str) -> None:
    content = explanation_example.content()
    content["models"]["student"]["temperature"] = temperature
    text = "\n".join(explanation.make_section(content).lead)
    assert words in text and ("logits divided" in text) == bool(words)


def test_what_was_not_looked_at_is_not_shown() -> None:
    text = page(similarity=[], ablation=[])
    assert "What each term" not in text and "layer_similarity" not in text and "CKA" not in text
    nothing = markdown.report_page(report_example.result())
    assert "What the student learned" not in nothing


def test_every_table_is_whole_and_names_cannot_break_it() -> None:
    text = page()
    columns: list[int] = []
    for line in text.splitlines():
        if line.startswith("|"):
            columns.append(line.replace("\\|", "").count("|"))
            assert columns[-1] == columns[0], line
        else:
            columns = []
    assert "\n\n\n" not in text
    assert "pull\\|over" in text and "\\<coat\\>" in text and "<coat>" not in text


def test_what_an_attack_leaves_is_said() -> None:
    accuracy = {"teacher": 0.5, "control": 0.25, "student": 0.125}
    attack = {"epsilon": 0.03, "steps": 20, "samples": 512, "accuracy": accuracy}
    text = page(attack=attack)
    assert "On 512 images changed by at most 0.03" in text
    assert "teacher 50.00 %, control 25.00 %, student 12.50 %" in text
