from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekd.bundle import manifest as manifests
from edgekd.bundle import write as bundle_write
from tests import bundle_example


def test_the_same_content_gives_the_same_bytes_anywhere(tmp_path: Path) -> None:
    made = []
    for name in ("one", "some/other/place"):
        (tmp_path / name).mkdir(parents=True)
        made.append(bundle_example.make(tmp_path / name))
    for name in ("manifest.json", *manifests.FILES):
        assert (made[0] / name).read_bytes() == (made[1] / name).read_bytes()
        assert str(tmp_path).encode() not in (made[0] / name).read_bytes()


def test_only_a_measured_row_can_be_chosen(tmp_path: Path) -> None:
    dead = bundle_example.row(status="not measured", reason="no engine")
    for rows, chosen in (([dead], dead["name"]), ([bundle_example.row()], "openvino-bf16-1t")):
        with pytest.raises(ValueError, match="want a row that was measured"):
            bundle_example.make(tmp_path, rows=rows, chosen=chosen)


def test_tolerances_come_from_the_students_rows() -> None:
    rows = [
        bundle_example.row("onnxruntime-fp32-1t", parity_max_abs=3e-6),
        bundle_example.row("openvino-bf16-1t", parity_max_abs=0.05, agreement=0.984375),
        bundle_example.row(
            "openvino-fp16-1t", parity_max_abs=None, status="not measured", reason="x"
        ),
        bundle_example.row(
            "null-bf16-1t", parity_max_abs=7.0, status="failed", reason="it crashed"
        ),
        bundle_example.row("null-fp32-1t", parity_max_abs=9e-5, status="unstable"),
        bundle_example.row("teacher-openvino-fp32-1t", parity_max_abs=9.0),
    ]
    assert bundle_write.tolerances(rows, "", {"allowed": 1e-4}) == {
        "null/fp32": {"max_abs": 1.8e-4, "agreement": 1.0},
        "onnxruntime/fp32": {"max_abs": 1e-4, "agreement": 1.0},
        "openvino/bf16": {"max_abs": 0.1, "agreement": 0.984375},
    }


def test_an_int8_file_is_asked_in_steps_and_by_rows_of_this_very_file() -> None:
    def int8(runtime: str, profile: str, max_abs: float) -> dict[str, Any]:
        more = {"profile": profile, "parity_max_abs": max_abs, "parity_rms": 0.01}
        return bundle_example.row(f"{runtime}-int8-1t", **more)

    rows = [
        int8("onnxruntime", "x86", 0.3),
        int8("openvino", "openvino", 0.1),
        int8("null", "x86", 0.01),
        bundle_example.row("onnxruntime-fp32-1t"),
    ]
    found = bundle_write.tolerances(rows, "x86", {"logit_step": 0.05})
    asked = {"agreement": 0.98, "step": 0.05, "rms": 0.01}
    assert found == {
        "null/int8": {"max_abs": 0.4, **asked},
        "onnxruntime/int8": {"max_abs": 0.6, **asked},
    }
    assert set(bundle_write.tolerances(rows, "", {"allowed": 1e-4})) == {"onnxruntime/fp32"}


def test_a_float_bundle_says_nothing_of_quantization(tmp_path: Path) -> None:
    text = (bundle_example.make(tmp_path) / "manifest.json").read_text()
    assert "profile" not in text and "step" not in text
