from __future__ import annotations

from typing import Any

from edgekd.report import markdown
from edgekd.report.generation_table import make_generation_table
from edgekd.report.html import page
from edgekd.report.html.record import RunRecord
from edgekd.report.result import Result
from edgekd.report.result_row import Row
from tests import report_example


def sized(row: Row, axis: str, size: int, **more: Any) -> Row:
    name = f"{row.name} {axis}={size}"
    own = {"name": name, "usual_row": row.name, "sizes": {axis: size}, **more}
    return row.model_copy(update=own)


def writing() -> Result:
    """Of two threads the teacher has no row; of one it is five times as slow behind 64 tokens."""
    made = report_example.result()
    student, teacher = made.candidates[0], made.references[0]
    stream = {"attention": "one operator f32", "cache": "u8"}
    candidates = (
        *made.candidates[:2],
        sized(student, "prompt_length", 16, latency_p50_ms=2.5),
        sized(student, "context_length", 8, decode_tokens_per_s=900.0, stream=stream),
        sized(student, "context_length", 64, decode_tokens_per_s=750.4, peak_rss_bytes=77_000_000),
    )
    references = (
        teacher,
        sized(teacher, "prompt_length", 16, latency_p50_ms=12.25),
        sized(teacher, "context_length", 64, decode_tokens_per_s=150.08),
    )
    return made.model_copy(update={"candidates": candidates, "references": references})


def test_a_decoder_stands_beside_its_teacher_with_score_first_token_and_tokens_a_second() -> None:
    table = make_generation_table(writing())
    assert table is not None
    assert table.columns == (
        "candidate",
        "test accuracy",
        "first token behind 16, ms",
        "tokens/s behind 8",
        "tokens/s behind 64",
        "beside its reference behind 64",
        "attention",
        "cache",
        "memory",
        "size",
    )
    rows = {name.removesuffix(" (chosen)"): rest for name, *rest in table.rows}
    assert list(rows) == [
        "onnxruntime-fp32-1t",
        "onnxruntime-fp32-2t",
        "teacher-onnxruntime-fp32-1t",
    ]
    assert rows["onnxruntime-fp32-1t"][:5] == ["92.66 %", "2.5", "900", "750", "5.00x"]
    assert rows["onnxruntime-fp32-1t"][5:8] == ["one operator f32", "u8", "77 MB"]
    assert rows["onnxruntime-fp32-2t"][5:7] == ["–", "–"]
    assert rows["onnxruntime-fp32-2t"][1:5] == ["–", "–", "–", "–"]
    assert rows["teacher-onnxruntime-fp32-1t"][:5] == ["93.36 %", "12.2", "–", "150", "–"]


def test_pages_show_it_where_texts_were_written_alone() -> None:
    made = writing()
    for text in (markdown.report_page(made), page.run_page(RunRecord(made))):
        assert "Writing" in text and "5.00x" in text
    plain = report_example.result()
    assert make_generation_table(plain) is None
    assert "Writing" not in markdown.report_page(plain)
