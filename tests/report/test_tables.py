from __future__ import annotations

from typing import Any

from edgekd.report import markdown
from edgekd.report import tables
from tests import report_example

TIMED = {"before_ms": 0.2373, "after_ms": 0.159, "ratio": 1.4925, "ratio_ci95": [1.394, 1.523]}
SPLIT = {
    "path": "layer1.0.conv1",
    "parameters": 36864,
    "decision": "split",
    "reason": "pays, and the budget asks for it",
    "structure": "tucker2",
    "ranks": [16, 32],
    "error": 0.00144,
    "gain": 0.25,
    "dense_us": 40.0,
    "candidates": [{"structure": "svd"}],
}
DENSE = {
    **SPLIT,
    "path": "f|c",
    "parameters": None,
    "reason": "not measured",
    "structure": None,
    "ranks": None,
    "error": None,
    "gain": None,
    "dense_us": None,
}
FACTORIZE = {"why": "as fast as asked", "end_to_end": TIMED, "layers": [SPLIT, DENSE]}
PRUNE = {
    "decision": "as small as asked",
    "measured": [{**TIMED, "ratio": 1.1}, {**TIMED, "ratio_ci95": None}],
    "macs_before": 7667200,
    "macs_after": 6031872,
    "parameters_before": 10,
    "parameters_after": 10,
    "layers": [
        {"path": "conv1", "before": [1, 64], "after": [1, 48]},
        {"path": "bn1", "before": [64, 64], "after": [64, 64]},
    ],
    "left_alone": [{"path": "fc", "reason": "no layer reads its channels"}],
}
FOUND: dict[str, dict[str, Any]] = {
    "sensitivity-asymmetric.json": report_example.SENSITIVITY,
    "factorize.json": FACTORIZE,
    "prune-2.json": PRUNE,
}


def test_low_rank_says_what_each_layer_became_and_what_that_saves() -> None:
    (table,) = tables.make_tables({"factorize.json": FACTORIZE})
    assert table.title == "Low rank, layer by layer"
    assert table.lead[0] == "As fast as asked."
    assert table.lead[1].endswith("1.49 times as fast (95 % interval 1.39 to 1.52).")
    split, dense = table.rows
    assert split[:3] == ("layer1.0.conv1", "36.9 k", "tucker2, rank 16 and 32")
    assert split[3:] == ("40", "30", "0.00144", "pays, and the budget asks for it")
    assert dense == ("f|c", "–", "dense", "–", "–", "–", "not measured")


def test_what_was_not_timed_says_nothing_of_time() -> None:
    (table,) = tables.make_tables({"factorize.json": {**FACTORIZE, "end_to_end": None}})
    assert table.lead == ("As fast as asked.",)


def test_pruning_shows_the_layers_that_changed() -> None:
    (table,) = tables.make_tables({"prune-2.json": PRUNE})
    assert table.title == "Pruning, layer by layer (2)"
    assert table.rows == (("conv1", "1", "64 → 48"),)
    assert table.lead[1].endswith("1.49 times as fast.")  # the last that was measured
    assert table.lead[2:] == (
        "MACs: 7.67 M before, 6.03 M after.",
        "Left alone: fc: no layer reads its channels.",
    )


def test_quantization_names_what_stayed_float() -> None:
    (table,) = tables.make_tables({"sensitivity-asymmetric.json": report_example.SENSITIVITY})
    assert table.title == "What each layer's quantization costs (asymmetric)"
    assert "with conv1 in float: 92.68 %; calibrated alone 91.00 %" in table.lead[3]
    assert table.lead[1] == "Kinds of block: 3 layers in int8."
    assert table.rows == (("fc", "4", "2.56 k", "3.9e-06", "0.0e+00"),)


def test_long_tables_are_cut_and_say_so() -> None:
    rows = [{**SPLIT, "path": str(i)} for i in range(tables.LONGEST + 7)]
    (table,) = tables.make_tables({"factorize.json": {**FACTORIZE, "layers": rows}})
    assert len(table.rows) == tables.LONGEST and table.left_out == 7


def test_a_table_without_rows_has_no_columns() -> None:
    (table,) = tables.make_tables({"prune.json": {**PRUNE, "layers": []}})
    assert table.columns == () == table.rows


def test_the_page_shows_them_whole() -> None:
    page = markdown.report_page(report_example.result(), tables.make_tables(FOUND))
    assert "## Low rank, layer by layer\n\nAs fast as asked.\nBeside" in page
    assert "| f\\|c | – | dense |" in page and "| conv1 | 1 | 64 → 48 |" in page
    assert "\n\n\n" not in page


def test_layers_compared_and_what_is_trained_for_that() -> None:
    row = {
        "loss": "fitnet",
        "student": "layer2",
        "student_shape": [8, 8, 4, 4],
        "teacher": "layer3",
        "teacher_shape": [8, 16, 4, 4],
        "companion_parameters": 1600,
    }
    (table,) = tables.make_tables({"layers-2.json": {"layers": [row], "trained_beside": 1600}})
    assert table.title == "Layers compared (2)"
    assert table.rows == (("fitnet", "layer2", "8 x 4 x 4", "layer3", "16 x 4 x 4", "1.6 k"),)
    assert table.lead == ("Trained beside the student and not shipped: 1.6 k parameters.",)


def test_images_made_from_a_teacher() -> None:
    content = {
        "count": 100,
        "method": "deepinversion",
        "mean_confidence": 0.91,
        "classes_named": 9,
        "batch_norm_distance": 2.5,
        "batch_norm_distance_of_noise": 50.0,
    }
    (table,) = tables.make_tables({"synthesis.json": content})
    assert (
        not table.columns
        and "91.00 % sure" in table.lead[0]
        and "2.5 off, noise 50" in table.lead[1]
    )


def test_a_step_that_missed_its_budget_is_a_warning() -> None:
    missed = {"budget_met": False, "decision": "stays whole: no layer has channels to spare"}
    found = {
        "prune-2.json": missed,
        "factorize.json": {**FACTORIZE, "budget_met": False},
        "prune.json": {**missed, "budget_met": True},
        "layers.json": {},
    }
    assert tables.list_missed_budgets(found) == [
        "factorize: its budget is not met: as fast as asked.",
        "prune-2: its budget is not met: stays whole: no layer has channels to spare.",
    ]
