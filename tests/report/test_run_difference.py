"""In what two runs differ."""

from __future__ import annotations

from edgekd.report import run_difference
from edgekd.report.result import StepOrigin
from edgekd.report.run_difference import FigureDifference
from tests import report_example


def test_a_run_and_itself_differ_in_nothing() -> None:
    made = report_example.result()
    assert run_difference.compare_runs(made, made) == ((), (), (), (), ())


def test_every_kind_of_difference_is_named() -> None:
    first = report_example.result().model_copy(
        update={"resolved_recipe": {"seed": 0, "learn": [{"weight": 1}]}}
    )
    rows = list(first.candidates)
    rows[0] = rows[0].model_copy(update={"latency_p50_ms": 9.0, "latency_ci95_ms": (8.0, 10.0)})
    second = first.model_copy(
        update={
            "resolved_recipe": {"seed": 1, "learn": [{"weight": 2}], "name": "x"},
            "edgekd": "9",
            "versions": {"torch": "3"},
            "environment": {**first.environment, "cpu_model": "another"},
            "lineage": {**first.lineage, "data": StepOrigin(key="k", files={"train": "d"})},
            "candidates": tuple(rows),
        }
    )
    found = run_difference.compare_runs(first, second)
    assert found.settings == (
        ("learn.0.weight", 1, 2),
        ("name", None, "x"),
        ("seed", 0, 1),
    )
    assert "files.data.train" in {each.key for each in found.data}
    assert {each.key for each in found.versions} == {"edgekd", "learned with.torch"}
    assert [each.key for each in found.machine] == ["cpu_model"]
    (figure,) = found.figures
    assert figure.figure == f"{rows[0].name} p50" and figure.second == 9.0
    assert figure.overlap == "apart" and figure.second_text == "9 ms"


def test_what_the_two_chose_is_compared_where_it_has_two_names() -> None:
    first = report_example.result()
    other = next(row.name for row in first.candidates if row.name != first.chosen)
    found = run_difference.compare_runs(first, first.model_copy(update={"chosen": other}))
    assert {each.figure.split()[0] for each in found.figures} == {"chosen"}


def test_scores_of_two_metrics_are_not_compared() -> None:
    first = report_example.result()
    metric = first.metric.model_copy(update={"name": "rmse", "unit": "number", "better": "lower"})
    other = first.model_copy(update={"metric": metric, "edgekd": "9"})
    assert run_difference.compare_runs(first, other).figures == ()


def test_intervals_that_touch_overlap() -> None:
    def overlap(*intervals: tuple[float, float] | None) -> str:
        return FigureDifference("x", 1, 2, intervals[0], intervals[1], "ms", "1", "2").overlap

    assert (
        overlap((0, 1), (1, 2)) == overlap((1, 2), (0, 1)) == overlap((0, 9), (1, 2)) == "overlap"
    )
    assert overlap((0, 1), (1.1, 2)) == overlap((3, 4), (1, 2)) == "apart"
    assert overlap(None, (1, 2)) == overlap((1, 2), None) == "unknown"
