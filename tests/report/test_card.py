from __future__ import annotations

from edgekd.report import card
from tests import report_example


def test_the_card_says_how_to_use_and_check_the_model() -> None:
    values = report_example.files()
    text = card.text("fashion-mnist", "0.1.0", values)
    assert "float32 [batch, 1, 28, 28]" in text and "float32 [batch, 2]" in text
    assert "Chosen: `onnxruntime-fp32-2t` (onnxruntime, fp32, 2 threads)" in text
    assert (
        "| test accuracy | 92.66 % |" in text
        and "| latency, median of one image | 0.098 ms |" in text
    )
    assert "edgekd verify" in text
    assert "| test accuracy | – |" in card.text("x", "0.1.0", {**values, "test": {}})
