"""What benchmarks/tasks says of the scores of several seeds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import stats

from edgekd.task import Metric
from edgekd.tasks.regression import TASK as REGRESSION
from edgekd.tasks.segmentation import TASK as SEGMENTATION

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "tasks" / "measure.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure_tasks", SCRIPT)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def rows_of(metric: Metric, values: list[float], samples: int = 40) -> list[dict[str, np.ndarray]]:
    """Of each value the rows of a student that has it, beside a control and int8 with what lies in `samples`."""
    random = np.random.default_rng(0)
    found = []
    for value in values:
        noise = 1 + 0.01 * random.standard_normal((samples, 1))
        errors = value * noise / np.sqrt((noise**2).mean())
        found.append({"teacher": errors, "control": 2 * errors, "student": errors})
        found[-1]["int8 onnxruntime"] = 1.002 * errors
    assert [metric.value(rows["student"]) for rows in found] == pytest.approx(values)
    return found


def test_the_interval_is_that_of_a_paired_t_test(script: ModuleType) -> None:
    one, other = [0.91, 0.92, 0.95], [0.90, 0.90, 0.91]
    gains = [a - b for a, b in zip(one, other, strict=True)]
    want = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert script.find_interval(gains) == pytest.approx((want.low, want.high))
    assert script.find_interval([0.1]) is None
    assert script.find_interval([0.0, 0.0, 0.0]) == (0.0, 0.0)


@pytest.mark.parametrize(
    "interval, than, want",
    [
        ((0.1, 0.4), 0.0, "better"),
        ((-0.4, -0.1), 0.0, "worse"),
        ((-0.1, 0.4), 0.0, "not told apart"),
        ((0.0, 0.0), 0.0, "not told apart"),
        ((-0.4, -0.1), -0.5, "better"),
        (None, 0.0, "not told apart"),
    ],
)
def test_a_verdict_needs_the_whole_interval_on_one_side(
    script: ModuleType, interval: tuple[float, float] | None, than: float, want: str
) -> None:
    assert script.judge(interval, than) == want


def test_of_errors_less_is_better(script: ModuleType) -> None:
    metric = REGRESSION.score
    seeds = rows_of(metric, [3.0, 3.1, 3.2])
    found = script.compare(metric, seeds, "student", "control")
    assert found["each"] == pytest.approx([3.0, 3.1, 3.2])
    assert found["verdict"] == "better"
    for gain, (low, high) in zip(found["each"], found["each_ci95_over_samples"], strict=True):
        assert low < gain < high
    assert script.compare(metric, seeds, "control", "student")["verdict"] == "worse"


def test_what_int8_loses_is_a_share_of_the_float_score(script: ModuleType) -> None:
    metric = REGRESSION.score
    found = script.compare(metric, rows_of(metric, [3.0, 3.1, 3.2]), "int8 onnxruntime", "student")
    assert found["percent_of_score"]["each"] == pytest.approx([-0.2] * 3)
    assert (found["verdict"], found["loses_at_most_0.5_percent"]) == ("worse", "yes")


def test_fractions_are_told_in_points(script: ModuleType) -> None:
    metric = SEGMENTATION.score
    half, third = np.array([[1.0, 2.0]] * 4), np.array([[1.0, 3.0]] * 4)
    seeds = [{"student": half, "int8 openvino": third}] * 2
    found = script.compare(metric, seeds, "int8 openvino", "student")
    assert found["mean"] == pytest.approx(100 * (1 / 3 - 1 / 2))
    assert found["percent_of_score"]["mean"] == pytest.approx(-100 / 3)
    assert found["loses_at_most_0.5_percent"] == "no"


def test_the_table_has_a_row_a_recipe_and_a_column_an_engine(script: ModuleType) -> None:
    metric = REGRESSION.score
    seeds = dict(enumerate(rows_of(metric, [3.0, 3.1, 3.2])))
    lines = script.make_table({"angles": script.summarize(metric, seeds)}).splitlines()
    assert lines[0].split(" | ")[4] == "int8 onnxruntime"
    assert "angles, RMSE | 3.1 | 6.2 | 3.1 | 3.106" in lines[2]
    assert "+3.1 (+2.9 to +3.3): better |" in lines[2]
    assert lines[2].endswith(" worse, within 0.5 % |")
    assert {line.count("|") for line in lines} == {8}
