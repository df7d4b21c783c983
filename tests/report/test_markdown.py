from __future__ import annotations

from typing import Any

import pytest

from edgekd.report import markdown
from edgekd.report import result
from tests import bundle_example
from tests import report_example


def choosing(name: str | None) -> dict:
    return {**report_example.files()["choice"], "chosen": name}


def test_the_page_says_what_was_made_how_good_and_how_fast() -> None:
    page = markdown.report_page(report_example.result(choice=choosing("onnxruntime-fp32-1t")))
    assert page.startswith("# fashion-mnist\n")
    assert "**3.7x smaller, 3.1x faster, 0.7 points below its teacher**" in page
    assert (
        "| **onnxruntime-fp32-1t** | 92.66 % | 0.131 | 0.126 to 0.138 (± 4.5 %) | – | 30 MB | 340 kB |"
        in page
    )
    assert "| teacher | resnet20 | 93.36 % | 93.40 % | 272 k | 41 M |" in page
    assert "## Warnings" not in page
    assert "| latency_p50_ms | 0.2 | 0.098 | met |" in page
    assert (
        "10000 samples" in page
        and "- cpu_model: A CPU" in page
        and "- versions: onnx –, torch 2.13.0\n" in page
    )


def test_the_page_says_what_lies_beside_it_how_long_it_took_and_with_which_versions() -> None:
    plain = report_example.result()
    page = markdown.report_page(plain)
    assert "| `recipe.yaml` |" in page and "edgekd.load" not in page and "by stage" not in page
    told = {"name": "models/a|b.onnx", "size_bytes": 2500, "meaning": "ONNX of a"}
    more = {
        "files": (result.DeliveredFile(**told),),
        "durations_s": {"data": 0.1, "train": 61.0},
        "versions": {"torch": "2.13.0"},
    }
    page = markdown.report_page(plain.model_copy(update=more))
    assert "| `models/a\\|b.onnx` | 2.5 kB | ONNX of a |" in page and "edgekd.load" in page
    assert "made: train 1 min 01 s, data 0.1 s. Versions: torch 2.13.0.\n" in page


def test_what_is_larger_slower_or_better_is_called_so() -> None:
    made = report_example.result(choice=choosing("onnxruntime-fp32-1t"))
    assert made.comparison is not None
    assert markdown.comparison_text(made.comparison, report_example.SCALE).startswith(
        "3.11x faster (95 % interval 2."
    )
    turned = made.comparison.model_copy(
        update={
            "times_smaller": 0.04,
            "times_faster": 0.8,
            "times_faster_ci95": (0.5, 1.25),
            "score_drop": -0.5,
            "score_drop_ci95": (-0.75, 0.25),
        }
    )
    made = made.model_copy(update={"comparison": turned})
    assert markdown.headline(made) == "25.0x larger, 1.2x slower, 0.5 points above its teacher"
    page = markdown.report_page(made)
    assert (
        "1.25x slower (95 % interval 0.80 to 2.00), 25.00x larger;\n"
        "0.50 points above the teacher on the test set (95 % interval -0.25 to 0.75, unpaired).\n"
    ) in page


MACHINE = {
    "canary_ms": [1.0, 1.0, 1.01],
    "canary_variation": 0.006,
    "drifts": False,
    "reasons": [],
    "warnings": [],
}


@pytest.mark.parametrize(
    ("unstable", "status", "machine", "doubt"),
    [
        ({}, {}, None, ""),
        ({}, {}, MACHINE, ""),
        ({"onnxruntime-fp32-1t": "why"}, {}, MACHINE, " (unstable)"),
        ({"teacher-onnxruntime-fp32-1t": "why"}, {}, MACHINE, " (unstable)"),
        ({"openvino-fp32-1t": "why"}, {}, MACHINE, ""),  # nothing of the headline stands on it
        ({}, {"status": "invalid", "reason": "paged: 3 page faults"}, MACHINE, " (invalid)"),
        ({}, {}, {**MACHINE, "drifts": True}, " (the machine drifted)"),
    ],
)
def test_the_headline_doubts_what_its_rows_doubt(
    unstable: dict[str, str], status: dict[str, str], machine: Any, doubt: str
) -> None:
    choice = {**choosing("onnxruntime-fp32-1t"), "unstable": unstable}
    made = report_example.result(choice=choice, machine=machine, rows=report_example.rows(**status))
    assert markdown.headline(made) == (
        f"3.7x smaller, 3.1x faster{doubt}, 0.7 points below its teacher"
    )
    page = markdown.report_page(made)
    assert ("its time varied by 0.6 %" in page) == (machine is not None)
    for name, reason in unstable.items():
        assert f"{name}: unstable: {reason}." in page


def test_a_machine_that_was_not_fit_is_told_in_the_warnings() -> None:
    machine = {**MACHINE, "reasons": ["swapped: 3 pages"], "warnings": ["noisy: a lot"]}
    page = markdown.report_page(report_example.result(machine=machine))
    assert (
        "- **The machine was not fit: swapped: 3 pages; \\`--set measure.seed=1\\` measures again.**"
        in page
    )
    assert "- **While it measured, the machine was not quiet: noisy: a lot.**" in page


def test_every_table_is_whole() -> None:
    page = markdown.report_page(report_example.result())
    table: list[int] = []
    for line in page.splitlines():
        if line.startswith("|"):
            table.append(line.replace("\\|", "").count("|"))
            assert table[-1] == table[0], line
        else:
            table = []
    assert "\n\n\n" not in page


def test_a_teacher_that_is_beaten_is_not_called_better() -> None:
    files = report_example.files()
    test = {**files["test"], "teacher": 0.92}
    made = report_example.result(test=test, choice=choosing("onnxruntime-fp32-1t"))
    assert markdown.headline(made).endswith("0.7 points above its teacher")


def test_no_choice_is_the_headline() -> None:
    choice = {**choosing(None), "why": "score: 0.91, want 0.95", "nearest": "openvino-fp32-1t"}
    page = markdown.report_page(report_example.result(choice=choice))
    assert "**Nothing was chosen: score: 0.91, want 0.95**" in page


def test_warnings_are_flagged() -> None:
    alone = {"student_alone": 10, "control_alone": 60}
    test = {**report_example.files()["test"], "control": 0.94, **alone}
    page = markdown.report_page(report_example.result(test=test))
    assert "## Warnings\n\n- **The student is below its control" in page


@pytest.mark.parametrize(
    ("text", "want"), [("a|b", "a\\|b"), ("a\n# b", "a # b"), ("<script>", "\\<script\\>")]
)
def test_a_users_text_cannot_break_the_page(text: str, want: str) -> None:
    assert markdown.escape_text(text) == want
    assert markdown.report_page(report_example.result(recipe=text)).startswith(f"# {want}\n")


def test_int8_is_shown_with_steps_kernels_and_islands() -> None:
    files = report_example.files()
    island = {"node": "layer1.0.conv1/Conv", "op": "Conv", "cause": "no Q behind its Relu"}
    more = {"profile": "x86", "parity_steps": 1.25, "islands": [island]}
    rows = [
        bundle_example.row("onnxruntime-int8-1t", kernels={"QLinearConv u8": 20}, **more),
        bundle_example.row(
            "onnxruntime-int8-2t", threads=2, kernels={"QLinearConv u8": 20}, **more
        ),
    ]
    score = {"score": 0.92, "parameters": 78_000, "macs": 9_700_000}
    scores = {**files["scores"], "quantize-asymmetric": score}
    test = {**files["test"], "quantize-asymmetric": 0.9261}
    page = markdown.report_page(
        report_example.result(
            rows=[*files["rows"], *rows],
            scores=scores,
            test=test,
            quantized={"asymmetric": "quantize-asymmetric"},
        )
    )
    assert "| student, rounded (asymmetric) | resnet8 | 92.61 % | 92.00 % |" in page
    assert "1.0e-06 (1.2 steps)" in page
    assert page.count("| onnxruntime-int8-1t | x86 | 20 QLinearConv u8 | 1 |") == 1
    assert "| onnxruntime-int8-2t | x86" not in page
    assert page.count("- `layer1.0.conv1/Conv` (Conv): no Q behind its Relu") == 1
    assert "\n\n\n" not in page


def test_every_metric_of_the_task_is_shown_beside_the_score() -> None:
    made = report_example.result()
    names = (made.metric.name, "macro F1")
    scales = tuple(made.metric.model_copy(update={"name": name}) for name in names)
    reached = {names[0]: 0.9, "macro F1": 0.8}
    student = made.student.model_copy(update={"test_metrics": reached})
    row = made.candidates[0].model_copy(update={"test_metrics": reached})
    page = markdown.report_page(
        made.model_copy(update={"scales": scales, "student": student, "candidates": (row,)})
    )
    begin = page.index("## Metrics")
    assert page[begin : page.index("\n## Candidates")].splitlines()[4:] == [
        f"| | {names[0]} | macro F1 |",
        "|---|---:|---:|",
        "| teacher | – | – |",
        "| control | – | – |",
        "| student | 90.00 % | 80.00 % |",
        f"| {row.name} | 90.00 % | 80.00 % |",
    ]
    assert "## Metrics" not in markdown.report_page(made)


def test_a_choice_by_size_states_gain_and_bytes_beside_one_file_for_all() -> None:
    files = report_example.files()
    assert "Choice by size" not in markdown.report_page(report_example.result())
    made = report_example.result(
        choice={**files["choice"], "by_size": report_example.BY_SIZE},
        test={**files["test"], "by_size": {"accuracy": 0.9265}},
    )
    page = markdown.report_page(made)
    assert (
        "Which candidate answers by text_length, beside `onnxruntime-fp32-2t` for all: 1.25x as fast over the "
        "validation samples, 692 kB of engine files beside 340 kB. Together they score 92.65 % on the test set."
    ) in page
    assert "| up to 16 | 60.00 % | onnxruntime-fp32-2t | 0.05 | 0.05 |" in page
    assert "| up to 64 and longer | 40.00 % | openvino-bf16-2t | 0.3 | 0.4 |" in page
