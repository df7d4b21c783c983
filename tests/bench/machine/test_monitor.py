from __future__ import annotations

from typing import Any

from edgekd.bench.machine import validity
from edgekd.bench.machine.monitor import Monitor
from edgekd.bench.machine.monitor import input_warnings
from edgekd.bench.process import WorkerFailed
from tests.measured_example import measured


class Workers:
    def __init__(self, canary: Any) -> None:
        self.ran: list[str] = []
        self._canary = canary

    def __call__(self, job: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
        self.ran.append(job)
        if job == "canary" and isinstance(self._canary, Exception):
            raise self._canary
        return self._canary if job == "canary" else {}


SEEN = {"canary_ns": 5, "snapshot": validity.take_snapshot()}


def test_it_looks_before_the_first_process_and_every_third() -> None:
    workers = Workers(SEEN)
    monitor = Monitor(workers, every=3)
    monitor("memory", {})
    for _ in range(4):
        monitor("latency", {}, timeout_s=1)
    monitor.take_snapshot()
    assert workers.ran == [
        "memory",
        "canary",
        *["latency"] * 3,
        "canary",
        "latency",
        "canary",
    ]
    assert monitor.snapshot_log.canaries_ns == [5.0] * 3
    assert monitor.validity(measured(6)).ok


def test_a_canary_that_fails_or_lies_is_not_the_models_fault() -> None:
    for canary in (WorkerFailed("x"), {"canary_ns": "no", "snapshot": {"throttles": 3}}, {}):
        monitor = Monitor(Workers(canary))
        monitor("latency", {})
        monitor.take_snapshot()
        found = monitor.validity(measured(6))
        assert found.ok and found.warnings == ("the machine gave no account of itself",)


def test_pages_read_from_disk_spoil_a_sitting() -> None:
    monitor = Monitor(Workers(SEEN))
    monitor.take_snapshot()
    monitor.take_snapshot()
    found = measured(6)
    found.processes[2]["majflt"] = 4
    assert monitor.validity(found).reasons == ("paged: 4 page faults read the disk",)


def test_odd_inputs() -> None:
    found = measured(6)
    assert input_warnings(found.processes) == []
    for process in found.processes:
        process["repeated_ns"] = 800_000
    (told,) = input_warnings(found.processes)
    assert told == "inputs: a repeated one takes 20% less, its answer may be remembered"
    found.processes[0]["subnormal"] = True
    assert "subnormal" in input_warnings(found.processes)[0]
