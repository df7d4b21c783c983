from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from edgekd.report import explanation_plot
from tests import explanation_example


def words(svg: bytes) -> str:
    """All text of a valid SVG."""
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return " | ".join(text.strip() for text in root.itertext() if text.strip())


def test_a_plot_of_each_kind_and_the_same_bytes_again() -> None:
    content = explanation_example.content()
    made = explanation_plot.draw_plots(content, "svg")
    assert set(made) == {"reliability", "class_gains", "layer_similarity"}
    assert made == explanation_plot.draw_plots(content, "svg")
    assert all(b"<image" not in svg for svg in made.values())
    bare = explanation_plot.draw_plots({**content, "similarity": []}, "svg")
    assert set(bare) == {"reliability", "class_gains"}


def test_reliability_names_every_model_with_its_error() -> None:
    models = explanation_example.content()["models"]
    text = words(explanation_plot.draw_reliability(models, "svg"))
    for role, found in models.items():
        assert f"{role}: off by {100 * found['calibration_error']:.2f} %" in text


def test_class_gains_names_classes_as_they_are() -> None:
    content = explanation_example.content()
    text = words(explanation_plot.draw_class_gains(content["by_class"], content["classes"], "svg"))
    for name in explanation_example.CLASSES:
        assert name in text
    assert "above its control" in text and "differ most" not in text


def test_of_many_classes_those_that_differ_most_are_drawn() -> None:
    row = explanation_example.content()["by_class"][0]
    rows = [
        {
            **row,
            "number": n,
            "above": {o: {**of, "points": float(n - 30)} for o, of in row["above"].items()},
        }
        for n in range(100)
    ]
    names = [f"class {n} {'x' * (30 * (n == 99))}" for n in range(100)]
    text = words(explanation_plot.draw_class_gains(rows, names, "svg"))
    assert "the 40 of 100 that differ most" in text
    assert "class 98" in text and "class 30" not in text and "class 99 xxxxxxxxxxxxxx…" in text


def test_similarity_names_layers_and_leaves_unknown_pairs_open() -> None:
    found = explanation_example.content()["similarity"]
    text = words(explanation_plot.draw_similarity(found, "svg"))
    for name in ("teacher", "student", "control", "layer1", "head", "similarity (linear CKA)"):
        assert name in text


def test_the_interval_of_a_gain_is_that_of_paired_shares() -> None:
    change = {"corrected": 3, "lost": 1}
    differences = np.array([1] * 3 + [-1] + [0] * 16)
    want = 100 * 1.96 * differences.std() / np.sqrt(len(differences))
    assert explanation_plot.half_width(change, 20) == pytest.approx(want)
    assert explanation_plot.half_width({"corrected": 0, "lost": 0}, 20) == 0
