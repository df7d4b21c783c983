from __future__ import annotations

from typing import Any

from edgekd.bench import rows
from edgekd.bench.engine import Engine
from edgekd.bench.machine.validity import Validity
from edgekd.bench.session import Measurement
from edgekd.bench.session import Subject
from edgekd.bench.status import read_status
from tests.measured_example import measured

ROW: dict[str, Any] = {"name": "a", "status": "ok", "reason": ""}


def test_rows_of_what_failed_late_or_never_began() -> None:
    engine = Engine("null", "fp32", 1, {})
    crashed = Measurement(Subject("a", engine), failure="null: was killed")
    assert read_status(rows.fill_row(ROW, crashed)) == ("failed", "null: was killed")
    late = Measurement(Subject("a", engine))
    word, reason = read_status(rows.fill_row(ROW, late))
    assert word == "not measured" and reason.startswith("the budget ended")


def test_a_row_that_stayed_wide_is_ok_and_not_settled() -> None:
    for reached in (True, False):
        row = rows.fill_row(ROW, measured(6, reached=reached))
        assert (row["status"], row["settled"]) == ("ok", reached)
    cold = measured(6)
    for process in cold.processes[:4]:
        process["steady"] = False
    assert rows.fill_row(ROW, cold)["settled"] is False
    few = rows.fill_row(ROW, measured(1, reached=False))
    assert few["latency_p50_ms"] == 1.0 and few["latency_ci95_ms"] is None


def test_a_row_of_a_machine_that_was_not_fit_says_so_and_keeps_its_numbers() -> None:
    unfit = Validity(False, ("swapped: 3 pages came back from swap",), ())
    row = rows.fill_row(ROW, measured(6), unfit)
    assert read_status(row) == ("invalid", "swapped: 3 pages came back from swap")
    assert row["latency_p50_ms"] is not None and row["settled"] is False
    assert rows.fill_row(ROW, measured(6), Validity(True, (), ("noisy",)))["status"] == "ok"


def test_what_was_not_timed_says_why() -> None:
    row = rows.fill_row({**ROW, "status": "failed", "reason": "parity"}, None, None, "qemu-user")
    assert read_status(row) == ("failed", "parity") and row["settled"] is False
    idle = rows.fill_row(ROW, None, None, "qemu-user")
    assert str(read_status(idle)) == "not measured: emulated (qemu-user)"


def test_the_caller_is_told_beside_the_engine() -> None:
    found = measured(6)
    for process in found.processes:
        process["caller_ns"] = 2_000_000
    assert rows.fill_row(ROW, found)["latency_caller_p50_ms"] == 2.0


def test_the_reference_is_the_teachers_fp32_on_the_same_engine_and_threads() -> None:
    row = {"model": "student", "precision": "int8", "runtime": "ort", "threads": 1}
    want = {"model": "teacher", "precision": "fp32", "runtime": "ort", "threads": 1}
    others = [
        {**want, field: other}
        for field, other in (
            ("model", "student"),
            ("precision", "bf16"),
            ("runtime", "openvino"),
            ("threads", 2),
        )
    ]
    assert rows.reference_of(row, [*others, want]) is want
    assert rows.reference_of(row, others) is None
