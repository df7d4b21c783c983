"""What a finished run says last: its models, the headline, warnings, where things lie and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.cli.screen import echo
from edgekd.cli.screen import print_columns
from edgekd.cli.screen import print_paragraph
from edgekd.profile import QUANTIZED

if TYPE_CHECKING:
    from edgekd.report.result import Result
    from edgekd.report.result_row import Row

BUNDLE = "bundle"


def print_summary(result: Result, run_dir: Path) -> None:
    """Print the summary of a run that lies in `run_dir`."""
    from edgekd.report.html.headline import write_headline

    print_columns(_model_rows(result))
    echo()
    print_paragraph(write_headline(result))
    for sentence in _describe_int8(result, run_dir):
        print_paragraph(sentence)
    for warning in result.warnings:
        print_paragraph(f"warning: {warning}")
    echo()
    for what, text in _places(result, run_dir):
        echo(f"{what:<8}{text}")  # never wrapped: a command is to be copied


def _model_rows(result: Result) -> Iterator[tuple[str, str, str]]:
    from edgekd.bench.roles import ROLES
    from edgekd.task import Scale
    from edgekd.task import figure_text
    from edgekd.units import bytes_text
    from edgekd.units import count_text

    scale = Scale(**result.metric.model_dump())

    def score(value: float | None) -> str:
        return "–" if value is None else figure_text(scale, value)

    for role in ROLES:
        model = getattr(result, role)
        if model is not None:
            yield role, score(model.score), f"{count_text(model.parameters)} parameters"
    for numerics, model in result.quantized.items():
        yield "quantized", score(model.score), f"student, rounded ({numerics})"
    for row in result.candidates:
        if row.name == result.chosen:
            latency = "" if row.latency_p50_ms is None else f"{row.latency_p50_ms:.3g} ms, "
            size = "–" if row.size_bytes is None else bytes_text(row.size_bytes)
            yield "chosen", score(row.score), f"{row.name}: {latency}{size}"


def _describe_int8(result: Result, run_dir: Path) -> Iterator[str]:
    """Sentences on how fast int8 is beside float on the engine of the choice, its file, and why float was chosen."""
    from edgekd.bench.candidate import name_export
    from edgekd.bench.rows import REFERENCE_PRECISION
    from edgekd.plan.deliverables import MODELS
    from edgekd.units import times_text

    chosen = next((row for row in result.candidates if row.name == result.chosen), None)
    if chosen is None:
        return

    def place(row: Row) -> tuple[str, int, str]:
        return row.runtime, row.threads, row.usual_row

    rows = [row for row in result.candidates if place(row) == place(chosen)]
    floats = {row.name: row.latency_p50_ms for row in rows if row.precision == REFERENCE_PRECISION}
    for row in rows:
        if row.precision not in QUANTIZED:
            continue
        speed = "not measured"
        if row.latency_p50_ms:
            speed = f"{row.latency_p50_ms:.3g} ms"
            for name, latency_ms in floats.items():
                if latency_ms:
                    times = times_text(latency_ms / row.latency_p50_ms, "faster", "slower", 2)
                    speed = f"{times} than {name}"
        file = f"{MODELS}/{name_export(row.model, row.profile)}.onnx"
        is_there = row.profile and any(each.name == file for each in result.files)
        yield f"{row.precision}: {row.name}: {speed}" + (f"; {run_dir / file}" if is_there else "")
    if chosen.precision not in QUANTIZED:
        yield f"why: {result.why}"


def _places(result: Result, run_dir: Path) -> Iterator[tuple[str, str]]:
    from edgekd.units import bytes_text

    run = shlex.quote(str(run_dir))
    yield "report:", str(run_dir / "report.md")
    if result.chosen is None:
        yield "next:", f"edgekd report {run}"
        return
    inside = [path for path in (run_dir / BUNDLE).glob("*") if path.is_file()]
    size = bytes_text(sum(path.stat().st_size for path in inside))
    yield "bundle:", f"{run_dir / BUNDLE}, {size}"
    yield "next:", f"edgekd verify {run}"
    yield "", f"edgekd bundle {run} -o {shlex.quote(f'{run_dir.absolute().name}.edgekd')}"
