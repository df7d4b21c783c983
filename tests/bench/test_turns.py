"""Workers that start together are timed one behind the other, in their order, and nobody waits for one that is gone."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekd.bench import session
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.bench.timing import Steady
from edgekd.bench.timing import WarmUp
from edgekd.bench.turns import Turns
from tests import bench_example

SHORT = session.Rules(
    processes_max=6,
    timeout_s=60,
    warm_up=WarmUp(window_ns=100_000, max_ns=1_000_000),
    steady=Steady(min_ns=1_000_000, max_ns=1_000_000),
)


def test_turns_come_in_their_order_whoever_is_ready_first() -> None:
    turns, ran = Turns(3), []

    def wait(number: int) -> None:
        time.sleep(0.02 * (3 - number))
        with turns.take(number):
            ran.append(number)
            time.sleep(0.02)
            ran.append(number)
        turns.leave(number)

    threads = [threading.Thread(target=wait, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert ran == [0, 0, 1, 1, 2, 2]


def test_nobody_waits_for_one_that_is_gone() -> None:
    turns = Turns(3)
    turns.leave(0)
    with turns.take(2) if turns.leave(1) is None else contextlib.nullcontext():
        pass


class Recorder:
    """Runs real workers and remembers when each had its turn."""

    def __init__(self) -> None:
        self.turns: list[tuple[float, float]] = []
        self.waiting = self.most_waiting = 0

    def __call__(self, job: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
        if (turn := more.get("turn")) is None:
            return run_worker(job, spec, **more)

        @contextlib.contextmanager
        def timed() -> Iterator[None]:
            self.waiting += 1
            with turn():
                self.most_waiting = max(self.most_waiting, self.waiting)
                began = time.monotonic()
                yield
                self.turns.append((began, time.monotonic()))

        return run_worker(job, spec, **{**more, "turn": timed})


def subject(folder: Path, name: str, fault: str = "") -> session.Subject:
    (folder / name).mkdir()
    engine = bench_example.null_engine(folder / name, **({"fault": fault} if fault else {}))
    return session.Subject(name, engine)


def test_of_small_engines_two_start_together_and_one_is_timed(tmp_path: Path) -> None:
    worker, prepared = Recorder(), []
    found = session.measure_subjects(
        [subject(tmp_path, "a"), subject(tmp_path, "b")],
        SHORT,
        worker=worker,
        width=2,
        prepare=lambda: prepared.append(len(worker.turns)),
    )
    assert [(each.failure, len(each.processes)) for each in found] == [("", 6)] * 2
    alone = session.ROUNDS_ALONE
    for each in found:
        assert [bool(process["cold_ms"]) for process in each.processes] == [True] * alone + [
            False
        ] * (6 - alone)
    pairs = 6 - alone
    assert len(worker.turns) == 2 * pairs and worker.most_waiting >= 2
    order = sorted(worker.turns)
    assert all(one[1] <= other[0] for one, other in zip(order, order[1:], strict=False))
    assert prepared == [2 * number for number in range(pairs)]


def test_one_that_dies_before_its_turn_holds_up_no_other(tmp_path: Path) -> None:
    good, bad = subject(tmp_path, "good"), subject(tmp_path, "bad", "segfault")
    results = [session.Measurement(bad), session.Measurement(good)]
    session._add_together(results, SHORT, run_worker)
    assert "SIGSEGV" in results[0].failure and not results[0].processes
    assert len(results[1].processes) == 1 and results[1].processes[0]["iters_ns"]


def test_waiting_does_not_count_as_time(tmp_path: Path) -> None:
    @contextlib.contextmanager
    def late() -> Iterator[None]:
        time.sleep(2.5)
        yield

    one = subject(tmp_path, "a")
    spec, reads = session.worker_spec(one, SHORT)
    assert run_worker("latency", spec, reads=reads, timeout_s=2, turn=late)["iters_ns"]
    with pytest.raises(WorkerFailed, match="did not end"):
        run_worker(
            "latency",
            {**spec, "waits": True},
            reads=reads,
            timeout_s=0.01,
            turn=contextlib.nullcontext,
        )
