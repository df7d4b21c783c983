from __future__ import annotations

import pytest

from edgekd.report.html.ledger import make_ledger
from tests import report_example

DIGEST = report_example.DIGEST
SCORES = {
    "teacher": {"score": 0.94, "parameters": 272_000},
    "control": {"score": 0.92, "parameters": 78_000},
    "distil": {"score": 0.935, "parameters": 78_000},
    "prune": {"score": 0.93, "parameters": 60_000},
    "quantize-asymmetric": {"score": 0.92, "parameters": 60_000},
}
QUANTIZED = {"asymmetric": "quantize-asymmetric"}


def traced(took_s: float, model_bytes: int | None = None) -> dict[str, object]:
    return {"key": DIGEST, "files": {}, "took_s": took_s, "model_bytes": model_bytes}


LINEAGE = {
    "teacher": traced(60.0, 1_000_000),
    "prune": traced(5.0, 240_000),
    "export-student": traced(2.0, 230_000),
    "compile-student-onnxruntime-fp32": traced(0.5),
}


def test_every_step_says_what_it_cost_against_the_one_before() -> None:
    made = report_example.result(lineage=LINEAGE)
    rows = {row.step: row for row in make_ledger(made, SCORES, QUANTIZED, {"prune": (0.92, 0.94)})}
    assert list(rows) == [
        *SCORES,
        "export-student",
        "compile-student-onnxruntime-fp32",
        "chosen",
    ]
    assert {name: (row.beside, row.cost) for name, row in rows.items() if row.beside} == {
        "control": ("teacher", pytest.approx(2.0)),
        "distil": ("teacher", pytest.approx(0.5)),
        "prune": ("distil", pytest.approx(0.5)),
        "quantize-asymmetric": ("prune", pytest.approx(1.0)),
        "compile-student-onnxruntime-fp32": ("prune", pytest.approx(0.34)),
        "chosen": ("teacher", pytest.approx(1.34)),
    }
    assert rows["prune"].validation_ci95 == (0.92, 0.94) and rows["prune"].size_bytes == 240_000
    assert rows["prune"].test == made.student.score and rows["distil"].test is None
    assert rows["export-student"].size_bytes == 230_000 and rows["export-student"].took_s == 2.0
    assert rows["chosen"].test == 0.9266 and rows["chosen"].took_s == 67.5


def test_where_nothing_was_chosen_the_nearest_ends_it() -> None:
    choice = {**report_example.files()["choice"], "chosen": None, "nearest": "openvino-fp32-1t"}
    rows = make_ledger(report_example.result(choice=choice), SCORES, QUANTIZED, {})
    assert (rows[-1].step, rows[-1].about) == ("nearest", "openvino-fp32-1t")
    nothing = {**choice, "nearest": None}
    assert [r.step for r in make_ledger(report_example.result(choice=nothing), SCORES, {}, {})] == [
        *SCORES
    ]
