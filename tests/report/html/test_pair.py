from __future__ import annotations

from edgekd.report.html.pair import pair_page
from edgekd.task import Scale
from tests import report_example
from tests.page_example import record
from tests.report.html.test_page import HOSTILE
from tests.report.html.test_page import Elements


def test_two_runs_stand_side_by_side_with_all_in_which_they_differ() -> None:
    rows = report_example.rows()
    rows[1] |= {"latency_p50_ms": 0.2, "latency_ci95_ms": [0.19, 0.21]}
    first = report_example.result(resolved_recipe={"seed": 0, "same": 1})
    second = report_example.result(rows=rows, resolved_recipe={"seed": 1, "same": 1})
    text = pair_page(first, second, ("runs/a", "runs/b"))
    assert "<h1>runs/a and runs/b, side by side</h1>" in text
    assert '<tr><th scope="row">seed</th><td>0</td><td>1</td></tr>' in text and ">same<" not in text
    assert (
        "<td>0.098 ms (0.09408 to 0.1029)</td><td>0.2 ms (0.19 to 0.21)</td><td>apart</td>" in text
    )
    found = Elements(text)
    ids = [value for name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids)) and {"a-row-1", "b-row-1"} <= set(ids)
    links = {
        v[1:] for n, v in found.attributes if n in ("href", "aria-labelledby") and v and v[0] == "#"
    }
    assert links <= set(ids)


def test_the_same_run_twice_differs_in_nothing() -> None:
    made = report_example.result()
    text = pair_page(made, made, ("a", "a"))
    assert "<p>None.</p>" in text and text.count("<p>The same.</p>") == 4


def test_scores_of_other_metrics_are_not_drawn_together() -> None:
    one = report_example.result()
    scale = Scale("RMSE", "number", "lower")._asdict()
    other = report_example.result(choice={**report_example.files()["choice"], "metric": scale})
    text = pair_page(one, other, ("a", "b"))
    assert "judged by accuracy, the other by RMSE" in text and "<figure>" not in text


def test_no_name_is_markup() -> None:
    plain = pair_page(record("x").result, record("y").result, ("x", "y"))
    hostile = pair_page(record(HOSTILE).result, record("y").result, (HOSTILE, "y"))
    assert Elements(hostile).tags.count("script") == Elements(plain).tags.count("script") == 1
    assert "img" not in Elements(hostile).tags
