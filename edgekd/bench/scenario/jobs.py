"""What a worker does beside the plain latency: throughput, sustained, paced, cold start, energy.

Each job takes (specification, phase call, start) and gives JSON, as those of `edgekd.bench.jobs`.
"""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd.bench import inputs
from edgekd.bench import jobs
from edgekd.bench import timing
from edgekd.bench.jobs import Spec
from edgekd.bench.jobs import clock
from edgekd.bench.scenario import energy as meters
from edgekd.bench.scenario import pagecache
from edgekd.bench.scenario import throughput as sweep
from edgekd.bench.statistics import median
from edgekd.runtime import Session

if TYPE_CHECKING:
    from edgekd.bench.worker import Say

NS_PER_S = 1_000_000_000
STRETCH_NS = NS_PER_S
EVERY_NS = NS_PER_S // 40
"""Between two readings of a power meter."""
DISTINCT = 8
"""Batches of a throughput run; they are large."""


def measure_throughput(spec: Spec, say: Say, started_ns: int) -> dict[str, Any]:
    """Samples a second by batch size: of ``spec["batch"]`` alone, or of a sweep, each compiled anew.

    A batch that the engine cannot hold ends the sweep.
    """
    started = jobs.start_engine(spec, say, started_ns)
    points: list[sweep.ThroughputPoint] = []
    if not spec["sweep"] or not _batch_is_free(spec, say):
        points.append(_point(started.session, spec, spec["batch"], say))
        return {"points": points}
    sample_bytes = sum(values.nbytes for values in started.feeds[0].values()) // spec["batch"]
    most = min(sweep.MOST, max(1, inputs.MOST_BYTES // (2 * max(1, sample_bytes))))
    while (batch := sweep.next_batch(points, spec["bound_ms"], most)) is not None:
        try:
            session = jobs.load_session({**spec, "batch": batch}, say)
            points.append(_point(session, spec, batch, say))
        except Exception:  # an engine's own, of any kind
            if not points:
                raise
            break
    return {"points": points}


def _batch_is_free(spec: Spec, say: Say) -> bool:
    shapes = [shape for shape, *_ in spec.get("call", {}).values()]
    if not shapes:
        shapes = [jobs.load_session({**spec, "batch": None}, say).inputs[0].shape[:1]]
    return any(None in shape for shape in shapes)


def _point(session: Session, spec: Spec, batch: int, say: Say) -> sweep.ThroughputPoint:
    say(f"batch {batch}")
    feeds = jobs.make_feeds(session, {**spec, "batch": batch}, DISTINCT)
    step = jobs.make_step(session, feeds)
    timing.warm_up(step, clock, timing.WarmUp(**spec["warm_up"]))
    begin = clock()
    times_ns = timing.run_iterations(step, clock, 0, 5, spec["span_ns"])
    rate = batch * len(times_ns) * NS_PER_S / (clock() - begin)
    return sweep.ThroughputPoint(batch, rate, median(times_ns) / 1e6)


def measure_sustained(spec: Spec, say: Say, started_ns: int) -> dict[str, Any]:
    """A median a second of a long run without pauses, from its first moment on."""
    started = jobs.start_engine(spec, say, started_ns)
    say("sustained")
    return {"stretches": timing.run_sustained(started.step, clock, spec["span_ns"], STRETCH_NS)}


def measure_paced(spec: Spec, say: Say, started_ns: int) -> dict[str, Any]:
    """Calls on a timetable, with idle gaps, after the usual warm-up."""
    started = jobs.start_engine(spec, say, started_ns)
    jobs.warm_up(started, spec, say)
    say("paced")
    found = timing.run_paced(started.step, clock, time.sleep, spec["period_ns"], spec["count"])
    return found._asdict()


def measure_cold_start(spec: Spec, say: Say, started_ns: int) -> dict[str, Any]:
    """The phases of a start whose files are out of the page cache; or why they still were in it."""
    # between two phases, so that it is in none of them
    refusals = [pagecache.evict(Path(path)) for path in spec["files"].values()]
    started = jobs.start_engine(spec, say, started_ns)
    return {"cold_ms": started.cold_ms, "warm": next(filter(None, refusals), "")}


def measure_energy(spec: Spec, say: Say, started_ns: int) -> dict[str, Any]:
    """Windows of work between windows of none, in joules; or why no counter can be read."""
    source = meters.find_source()
    if isinstance(source, str):
        return {"reason": source}
    meter = meters.Meter(source, clock)
    watch = functools.partial(meters.measure_window, meter, clock=clock, every_ns=EVERY_NS)
    rest = functools.partial(watch, lambda index: time.sleep(EVERY_NS / NS_PER_S))
    say("idle")
    idle = [rest(span_ns=spec["span_ns"])]
    started = jobs.start_engine(spec, say, started_ns)
    jobs.warm_up(started, spec, say)
    say("energy")
    busy = [watch(started.step, span_ns=spec["span_ns"]) for _ in range(spec["windows"])]
    say("idle")
    idle.append(rest(span_ns=spec["span_ns"]))
    return {"source": source.name, "busy": busy, "idle": idle}
