"""How long many small graphs take on a device, and one whole model beside another.

One fresh worker loads all of a set and times them in turns, round after round, so that a slow
moment of the machine falls on all of them alike. What counts is how they differ.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.bench.statistics import Interval
from edgekd.bench.statistics import median
from edgekd.bench.statistics import median_interval
from edgekd.device import TIMEOUT_S
from edgekd.device import Device
from edgekd.device import input_path
from edgekd.devices import local

TURN_ITERATIONS = 5
"""Fewest runs of a graph in its turn; the first of them fetches its weights and is left out."""
WARM_UP_TURNS = 2


class LookupSettings(NamedTuple):
    """On which engine the graphs are timed, and how long."""

    runtime: str
    precision: str = "fp32"
    threads: int = 1
    rounds: int = 7
    """Turns of each graph in one process."""
    turn_ns: int = 10_000_000
    """Length of a turn."""
    timeout_s: float = TIMEOUT_S
    """For one process."""
    seed: int = 0
    """Of the inputs that are drawn."""


class PairedTimes(NamedTuple):
    """Two models timed side by side in several processes."""

    a_ms: float
    b_ms: float
    ratio: float
    """Median over the processes of a / b: above 1, b is faster."""
    interval: Interval | None
    """95 %, over the processes."""
    processes: int


def medians_ns(
    graphs: Sequence[Path], how: LookupSettings, *, device: Device = local.DEVICE
) -> list[list[float]]:
    """The median of each turn of each ONNX file, in the order given; one fresh worker.

    Raises:
        InputError: if the engine refuses a graph.
        WorkerFailed: if the engine is missing there, crashes or hangs.
    """
    reads = {f"graph-{number}.onnx": path for number, path in enumerate(graphs)}
    spec = {**how._asdict(), "graphs": [input_path(name) for name in reads]}
    found = run_worker("lookup", spec, timeout_s=how.timeout_s, reads=reads, device=device)
    turns: list[list[float]] = found["turns_ns"]
    if len(turns) != len(graphs):
        raise WorkerFailed(f"{how.runtime}: got turns of {len(turns)} graphs, want {len(graphs)}")
    return turns


def times_us(
    graphs: Sequence[Path], how: LookupSettings, *, device: Device = local.DEVICE
) -> list[float]:
    """The median over the turns of each graph, in microseconds; as `medians_ns`."""
    return [median(turns) / 1000 for turns in medians_ns(graphs, how, device=device)]


def time_pairs(
    a: Path, b: Path, how: LookupSettings, processes: int, *, device: Device = local.DEVICE
) -> PairedTimes:
    """Both models in each of several fresh workers, their turns interleaved; as `medians_ns`."""
    both: list[tuple[float, float]] = []
    for number in range(processes):
        order = (a, b) if number % 2 == 0 else (b, a)
        first, second = (median(turns) for turns in medians_ns(order, how, device=device))
        both.append((first, second) if number % 2 == 0 else (second, first))
    ratios = [one / other for one, other in both]
    return PairedTimes(
        median([one for one, _ in both]) / 1e6,
        median([other for _, other in both]) / 1e6,
        median(ratios),
        median_interval(ratios),
        processes,
    )


def run_lookup(
    spec: Mapping[str, Any], say: Callable[[str], None], started_ns: int
) -> dict[str, Any]:
    """The worker's job ``lookup``: the median nanoseconds of each graph in each of its turns."""
    from edgekd.bench import inputs
    from edgekd.bench import jobs
    from edgekd.bench import timing
    from edgekd.runtimes import find_runtime

    runtime = find_runtime(spec["runtime"])
    missing = runtime.why_not() or runtime.why_not_run()
    if missing is not None:
        raise ImportError(missing)
    steps = []
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        for number, graph in enumerate(spec["graphs"]):
            say(f"load {graph}")
            goal = Path(folder) / str(number)
            goal.mkdir()
            files = runtime.build(Path(graph), goal, spec["precision"])
            session = runtime.load(files, spec["precision"], spec["threads"], batch=1)
            feeds = inputs.draw_feeds(session.inputs, batch=1, seed=spec["seed"], count=2)
            steps.append(jobs.make_step(session, feeds))
        turns: list[list[float]] = [[] for _ in steps]
        say("turns")
        for turn in range(WARM_UP_TURNS + spec["rounds"]):
            order = range(len(steps)) if turn % 2 == 0 else range(len(steps) - 1, -1, -1)
            for number in order:
                took = timing.run_iterations(
                    steps[number], time.perf_counter_ns, 0, TURN_ITERATIONS, spec["turn_ns"]
                )
                if turn >= WARM_UP_TURNS:
                    turns[number].append(median(took[1:]))
    return {"turns_ns": turns}
