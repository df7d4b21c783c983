from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekd.cli import summary
from edgekd.report.result import DeliveredFile
from tests import report_example


def printed(capsys: pytest.CaptureFixture[str], run_dir: Path, **other: Any) -> list[str]:
    summary.print_summary(report_example.result().model_copy(update=other), run_dir)
    return capsys.readouterr().out.splitlines()


def test_headline_with_its_interval_then_warnings_places_and_what_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    run = Path("a run")
    (run / "bundle").mkdir(parents=True)
    (run / "bundle" / "model.onnx").write_bytes(b"1" * 1500)
    lines = printed(capsys, run, chosen="onnxruntime-fp32-1t", warnings=("a " * 60 + "end",))
    text = "\n".join(lines)
    assert "0.131 ms (0.126 to 0.138)" in text
    assert text.index("0.126") < text.index("warning: a a") < text.index("report:")
    assert lines[-4:] == [
        "report: a run/report.md",
        "bundle: a run/bundle, 1.5 kB",
        "next:   edgekd verify 'a run'",
        "        edgekd bundle 'a run' -o 'a run.edgekd'",
    ]
    assert max(map(len, lines)) <= 80


def test_a_run_that_chose_nothing_names_no_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(capsys, tmp_path, chosen=None, why="all are too slow")
    assert "Nothing was chosen: all are too slow" in lines
    assert lines[-1].startswith("next:   edgekd report ") and "bundle" not in "".join(lines)


def test_what_was_not_evaluated_is_a_dash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    student = report_example.result().student.model_copy(update={"score": None})
    lines = printed(capsys, tmp_path, student=student, teacher=None, control=None)
    assert lines[0].startswith("student  – ")
    assert not any(line.startswith(("teacher", "control")) for line in lines)


def test_int8_is_told_beside_float_with_its_file_and_why_float_was_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = report_example.result()
    first = next(row for row in made.candidates if row.name == "onnxruntime-fp32-1t")
    words = {"name": "int8-row", "precision": "int8", "profile": "x86", "latency_p50_ms": 0.2}
    row = first.model_copy(update=words)
    file = DeliveredFile(name="models/student-x86.onnx", size_bytes=1, meaning="")
    both = {"candidates": (first, row), "files": (file,), "why": "it is fast"}
    lines = printed(capsys, Path("r"), chosen=first.name, **both)
    int8 = "int8: int8-row: 1.53x slower than onnxruntime-fp32-1t; r/models/student-x86.onnx"
    assert int8 in lines and "why: it is fast" in lines
    lines = printed(capsys, Path("r"), chosen="int8-row", **both)
    assert int8 in lines and not any(line.startswith("why") for line in lines)
    slow = row.model_copy(update={"latency_p50_ms": None})
    lines = printed(capsys, Path("r"), chosen=first.name, candidates=(first, slow), files=())
    assert "int8: int8-row: not measured" in lines
