from __future__ import annotations

from edgekd.report import markdown
from edgekd.report import tables
from tests import report_example

FOUND = {
    "sensitivity-asymmetric.json": {
        "scheme": "asymmetric",
        "layers": [
            {"path": "conv1", "cost": 0.123456, "bits": [8, 8], "tried": [{"a": 1}]},
            {"path": "a|b", "cost": None, "kept": True},
        ],
    },
    "factorize.json": {"status": "dense", "end_to_end": {"ratio": 1.01234, "tries": [1.0]}},
}


def test_lists_become_rows_and_the_rest_facts() -> None:
    dense, costs = tables.shown(FOUND)
    assert dense.title == "Low rank, layer by layer" and dense.columns == () == dense.rows
    assert dense.facts == (("status", "dense"), ("end_to_end", "ratio 1.012, tries 1"))
    assert costs.title == "What each layer's quantization costs (asymmetric)"
    assert costs.columns == ("path", "cost", "bits", "kept")  # lists of mappings are left out
    assert costs.rows == (("conv1", "0.1235", "8, 8", None), ("a|b", None, None, True))
    assert costs.file == "sensitivity-asymmetric.json" and costs.left_out == 0


def test_long_tables_are_cut_and_say_so() -> None:
    rows = [{"path": str(i)} for i in range(tables.LONGEST + 7)]
    (table,) = tables.shown({"prune.json": {"layers": rows}})
    assert len(table.rows) == tables.LONGEST and table.left_out == 7


def test_the_page_shows_them_whole() -> None:
    page = markdown.report(report_example.result(), tables.shown(FOUND))
    assert "## Low rank, layer by layer\n\n- status: dense\n" in page
    assert "| conv1 | 0.1235 | 8, 8 | – |" in page and "a\\|b" in page
    assert "\n\n\n" not in page
