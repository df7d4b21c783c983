from __future__ import annotations

from typing import Any

from edgekd.interface import image_classifier
from edgekd.interface import to_json
from edgekd.report import card
from tests import report_example


def files(**other: Any) -> dict[str, Any]:
    """What the stage `bundle` hands over."""
    ends = to_json(image_classifier(classes=2, channels=1, height=28, width=28))
    return {**report_example.files(**{"lineage": {}, **other}), "interface": ends}


def test_the_card_says_how_to_use_and_check_the_model() -> None:
    values = files()
    text = card.card_text("fashion-mnist", "0.1.0", values)
    assert "float32 [batch, 1, 28, 28]" in text and "float32 [batch, 2]" in text
    assert "Chosen: `onnxruntime-fp32-2t` (onnxruntime 1.0, fp32, 2 threads)" in text
    assert "| test accuracy | 92.66 % | 92.13 % to 93.15 % |" in text
    assert "| latency, median of one sample | 0.098 ms | 0.0941 to 0.103 ms |" in text
    for verb in ("verify", "predict", "bench"):
        assert f"`edgekd {verb} BUNDLE" in text
    untested = card.card_text("x", "0.1.0", {**values, "test": {}})
    assert "| test accuracy | – | – |" in untested


def test_every_engine_of_the_student_has_its_line_and_the_teacher_none() -> None:
    lines = card.card_text("x", "0.1.0", files()).splitlines()
    engines = [line.split(" | ")[0].removeprefix("| ") for line in lines if "-1t |" in line]
    assert engines == ["onnxruntime-fp32-1t", "openvino-fp32-1t", "openvino-bf16-1t"]
    dead = report_example.rows(status="not measured", reason="no | engine")
    text = card.card_text("x", "0.1.0", files(rows=dead))
    assert "not measured: no \\| engine |" in text


def test_the_same_values_give_the_same_text_and_lineage_is_in_it() -> None:
    lineage = {"distil": "b" * 64, "data": "a" * 64}
    turned = dict(reversed(lineage.items()))
    texts = {card.card_text("x", "0.1.0", files(lineage=given)) for given in (lineage, turned)}
    assert len(texts) == 1
    assert f"| data | `{'a' * 16}` |\n| distil | `{'b' * 16}` |\n" in texts.pop()
    values = files()
    del values["lineage"]
    assert "Lineage" not in card.card_text("x", "0.1.0", values)


def test_what_a_user_named_cannot_become_markup() -> None:
    values = files()
    values["data"]["targets"]["labels"]["names"] = ["<script>", "a|b\n# c"]
    text = card.card_text("<b>", "0.1.0", values)
    assert "<script>" not in text and "\\<script\\>, a\\|b # c" in text and "# \\<b\\>" in text


def test_a_choice_by_size_stands_in_the_card_of_a_bundle_that_has_one() -> None:
    values = files()
    assert "has an engine for each size" not in card.card_text("x", "0.1.0", values)
    values["choice"] = {**values["choice"], "by_size": report_example.BY_SIZE}
    text = card.card_text("x", "0.1.0", values)
    assert "up to 16 `onnxruntime-fp32-2t` (0.05 ms at 16), longer `openvino-bf16-2t`" in text
    assert "1.25x as fast over the validation images as `onnxruntime-fp32-2t` for all" in text
