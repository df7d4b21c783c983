from __future__ import annotations

import xml.etree.ElementTree as ET

from edgekd.report.html.reliability import draw_reliability
from tests import explanation_example


def test_every_bin_with_samples_has_a_dot_and_its_interval() -> None:
    models = explanation_example.content()["models"]
    drawn = ET.fromstring(draw_reliability(models))
    bins = [each for found in models.values() for each in found["reliability"] if each["samples"]]
    assert len(drawn.findall("g/circle")) == len(drawn.findall("g/line")) == len(bins)
    assert (
        f"student is off by {100 * models['student']['calibration_error']:.2f} %"
        in drawn.find("title").text
    )
