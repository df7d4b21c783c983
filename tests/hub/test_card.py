from __future__ import annotations

from pathlib import Path

import yaml

from edgekd.hub.card import write_card
from tests import bundle_example
from tests import report_example

HOSTILE = "x: [1]\n---\n<script>\u202e"


def front_matter(text: str) -> dict:
    start, body, _ = text.split("---\n", 2)
    assert start == ""
    found = yaml.safe_load(body)
    assert isinstance(found, dict)
    return found


def test_the_card_tells_the_hub_what_was_measured(tmp_path: Path) -> None:
    folder = bundle_example.make(tmp_path)
    rows = [bundle_example.row(), bundle_example.row("teacher-onnxruntime-fp32-1t")]
    test = {**report_example.files()["test"], "candidates": {"onnxruntime-fp32-1t": 0.875}}
    result = report_example.result(rows=rows, test=test)
    text = write_card(folder, "me/tiny", "mit", result)
    front = front_matter(text)
    assert front["license"] == "mit" and front["library_name"] == "edgekd"
    assert front["tags"] == ["edgekd", "onnx", "classification", "onnxruntime", "fp32"]
    tested, validated = front["model-index"][0]["results"]
    assert tested["dataset"] == {"type": "fashion-mnist", "name": "fashion-mnist", "split": "test"}
    assert [(m["type"], m["value"]) for m in tested["metrics"]] == [
        ("accuracy", 0.875),
        ("latency", 0.1),
        ("size", 400),
    ]
    assert [m["value"] for m in validated["metrics"]] == [0.9]
    assert "edgekd pull me/tiny" in text and text.rstrip().endswith("# tiny")


def test_without_the_run_the_score_is_that_of_validation(tmp_path: Path) -> None:
    front = front_matter(write_card(bundle_example.make(tmp_path), "me/tiny", "unknown"))
    (only,) = front["model-index"][0]["results"]
    assert only["dataset"]["split"] == "validation" and front["metrics"] == [
        "accuracy",
        "latency",
        "size",
    ]


def test_no_name_breaks_out_of_the_front_matter(tmp_path: Path) -> None:
    folder = bundle_example.make(tmp_path)
    data = {**report_example.files()["data"], "source": HOSTILE}
    text = write_card(folder, "me/tiny", HOSTILE, report_example.result(data=data))
    assert front_matter(text)["license"] == "x: [1]\\n---\\n<script>\\u202e"
    assert "\u202e" not in text
