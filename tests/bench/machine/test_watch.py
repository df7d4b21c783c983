from __future__ import annotations

from typing import Any

from edgekd.bench.machine import validity
from edgekd.bench.machine.watch import Watch
from edgekd.bench.machine.watch import about_inputs
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


SEEN = {"canary_ns": 5, "snapshot": validity.snapshot()}


def test_it_looks_before_the_first_process_and_every_third() -> None:
    workers = Workers(SEEN)
    watch = Watch(workers, every=3)
    watch("memory", {})
    for _ in range(4):
        watch("latency", {}, timeout_s=1)
    watch.look()
    assert workers.ran == [
        "memory",
        "canary",
        *["latency"] * 3,
        "canary",
        "latency",
        "canary",
    ]
    assert watch.looks.canaries_ns == [5.0] * 3
    assert watch.validity(measured(6)).ok


def test_a_canary_that_fails_or_lies_is_not_the_models_fault() -> None:
    for canary in (WorkerFailed("x"), {"canary_ns": "no", "snapshot": {"throttles": 3}}, {}):
        watch = Watch(Workers(canary))
        watch("latency", {})
        watch.look()
        found = watch.validity(measured(6))
        assert found.ok and found.warnings == ("the machine gave no account of itself",)


def test_pages_read_from_disk_spoil_a_sitting() -> None:
    watch = Watch(Workers(SEEN))
    watch.look()
    watch.look()
    found = measured(6)
    found.processes[2]["majflt"] = 4
    assert watch.validity(found).reasons == ("paged: 4 page faults read the disk",)


def test_odd_inputs() -> None:
    found = measured(6)
    assert about_inputs(found.processes) == []
    for process in found.processes:
        process["repeated_ns"] = 800_000
    (told,) = about_inputs(found.processes)
    assert told == "inputs: a repeated one takes 20% less, its answer may be remembered"
    found.processes[0]["subnormal"] = True
    assert "subnormal" in about_inputs(found.processes)[0]
