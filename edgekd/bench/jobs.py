"""What a worker can be asked to do. Each job takes (specification, phase call, start) and gives JSON."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import sys
import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from edgekd.bench import inputs
from edgekd.bench import memory as proc
from edgekd.bench import timing
from edgekd.bench.call import InputPlan
from edgekd.bench.states import hide_states
from edgekd.bench.statistics import median
from edgekd.bench.text_jobs import TimedText
from edgekd.bench.text_jobs import open_timed_text
from edgekd.device import READY
from edgekd.runtime import Inference
from edgekd.runtime import Runtime
from edgekd.runtime import Session
from edgekd.runtimes import BUILT_IN
from edgekd.runtimes import find_runtime

if TYPE_CHECKING:
    import numpy as np

    from edgekd.bench.worker import Say

REPEATED_NS = 5_000_000
"""How long one input is repeated, to see whether an engine remembers its answer."""
CALLER_NS = 10_000_000
"""How long the call with arrays is timed, for what it costs beside the engine."""
Spec = Mapping[str, Any]
clock = time.perf_counter_ns


def _import(runtime: Runtime, say: Say) -> None:
    say("import")
    for module in runtime.modules:
        importlib.import_module(module)


def load_session(spec: Spec, say: Say) -> Session:
    """The engine of a specification, compiled for its ``batch`` and the shapes of its ``call``; a batch
    of None leaves that free. States that the call does not name are empty; where it is a text's first or next
    token (``decoding``) that is asked for, they are kept."""
    if "decoding" in spec:
        say("load")
        return open_timed_text(spec)
    runtime = find_runtime(spec["runtime"])
    say("load")
    files = {name: Path(path) for name, path in spec["files"].items()}
    batch = spec["batch"]
    shapes = {
        name: tuple(batch if size is None else size for size in shape)
        for name, (shape, *_) in spec.get("call", {}).items()
    }
    if any(None in shape for shape in shapes.values()):
        shapes = {}
    session = runtime.load(
        files, spec["precision"], spec["threads"], batch=batch, shapes=shapes or None
    )
    return hide_states(session, spec.get("call", {}))


def make_feeds(session: Session, spec: Spec, count: int) -> Sequence[Mapping[str, np.ndarray]]:
    """Return what the model is fed: the given rows, or inputs drawn from the seed."""
    batch = spec["batch"]
    told = spec.get("call", {}).items()
    plans = {name: InputPlan(tuple(shape), *rest) for name, (shape, *rest) in told}
    draw = functools.partial(
        inputs.draw_feeds, session.inputs, batch=batch, seed=spec["seed"], count=count, plans=plans
    )
    if spec.get("inputs"):
        draw = functools.partial(
            inputs.read_feeds, Path(spec["inputs"]), *draw.args, **draw.keywords
        )
    return draw()


def make_step(session: Session, feeds: Sequence[Mapping[str, np.ndarray]]) -> timing.Step:
    """One inference on the i-th feed, which is bound once: the engine's own time. One element of each
    output is read, so none can be put off.

    Raises:
        ValueError: if the engine fails on a feed, when it is bound or run; so do the steps.
    """
    bound: list[Inference] = []
    for feed in feeds:
        with blame_feed(feed):
            bound.append(session.bind(feed))
    return _rotated(bound, feeds)


def make_caller(session: Session, feeds: Sequence[Mapping[str, np.ndarray]]) -> timing.Step:
    """The same as a Python program sees it that hands arrays over and gets arrays of its own."""
    return _rotated([functools.partial(session.run, feed) for feed in feeds], feeds)


def _rotated(
    inferences: Sequence[Inference], feeds: Sequence[Mapping[str, np.ndarray]]
) -> timing.Step:
    count = len(inferences)

    def step(index: int) -> None:
        try:
            for output in inferences[index % count]():
                if getattr(output, "size", 0):  # none detected, or a sequence: nothing to read
                    output.item(0)
        except Exception as error:
            with blame_feed(feeds[index % count]):
                raise error

    return step


@contextlib.contextmanager
def blame_feed(feed: Mapping[str, np.ndarray]) -> Iterator[None]:
    """An engine's own exception, of any kind, is the fault of the model or its inputs, unless memory is too small."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        proc.require_enough(error)
        fed = ", ".join(f"{name} {a.dtype} {list(a.shape)}" for name, a in feed.items())
        raise ValueError(f"got inputs {fed}, which the engine refuses: {error}") from error


class StartedEngine(NamedTuple):
    """An engine after its second inference."""

    session: Session
    feeds: Sequence[Mapping[str, np.ndarray]]
    step: timing.Step
    caller: timing.Step
    cold_ms: dict[str, float]
    """How long each phase of the start took."""


def start_engine(spec: Spec, say: Say, started_ns: int) -> StartedEngine:
    """Import, load, first and second inference, each timed."""
    runtime = find_runtime(spec["runtime"])
    begin = clock()
    _import(runtime, say)
    imported = clock()
    session = load_session(spec, say)
    loaded = clock()
    feeds = make_feeds(session, spec, inputs.COUNT)
    called = make_caller(session, feeds)
    say("first inference")
    first, second = timing.run_iterations(called, clock, 0, 2, 0)
    step = make_step(session, feeds)
    cold_ns = {
        "spawn_ms": started_ns - spec["spawned_ns"],
        "import_ms": imported - begin,
        "load_ms": loaded - imported,
        "first_infer_ms": first,
        "second_infer_ms": second,
    }
    cold_ns["tti_ms"] = sum(cold_ns.values()) - second
    gc.collect()
    gc.disable()
    return StartedEngine(
        session, feeds, step, called, {name: ns / 1e6 for name, ns in cold_ns.items()}
    )


def warm_up(started: StartedEngine, spec: Spec, say: Say) -> timing.WarmUpResult:
    """Run until the times have settled."""
    say("warm-up")
    return timing.warm_up(started.step, clock, timing.WarmUp(**spec["warm_up"]))


def measure_latency(spec: Spec, say: Say, started_ns: int) -> dict[str, Any]:
    """Cold start by phases, then warm-up, then raw nanoseconds of every steady iteration.

    Where others are started at the same time it waits for its turn in between.
    """
    import resource  # Windows has none, and imports this file to read a recipe

    started = start_engine(spec, say, started_ns)
    if spec.get("waits"):
        say(READY)
        sys.stdin.readline()
    warmed = warm_up(started, spec, say)
    before = resource.getrusage(resource.RUSAGE_SELF)
    say("steady")
    iters_ns = timing.run_steady(started.step, clock, timing.Steady(**spec["steady"]))
    after = resource.getrusage(resource.RUSAGE_SELF)
    say("repeated input")
    again = make_step(started.session, started.feeds[:1])
    repeated_ns = timing.run_iterations(again, clock, 0, 5, REPEATED_NS)
    say("a caller's view")
    caller_ns = timing.run_iterations(started.caller, clock, 0, 5, CALLER_NS)
    return {
        "threads": spec["threads"],
        "cold_ms": started.cold_ms,
        "warmup_iters": len(warmed.times_ns),
        "steady": warmed.steady,
        "iters_ns": iters_ns,
        "repeated_ns": median(repeated_ns),
        "caller_ns": median(caller_ns),
        **inputs.describe_feeds(started.feeds),
        "majflt": after.ru_majflt - before.ru_majflt,
        "nivcsw": after.ru_nivcsw - before.ru_nivcsw,
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }


def measure_memory(spec: Spec, say: Say, started_ns: int) -> dict[str, Any]:
    """Peak resident bytes after import, load, first inference and a steady while; nothing is timed."""
    runtime = find_runtime(spec["runtime"])
    _import(runtime, say)
    marks = {"import": proc.read_memory()}
    reset = proc.reset_peak()
    marks["baseline"] = proc.read_memory()
    session = load_session(spec, say)
    marks["load"] = proc.read_memory()
    feeds = make_feeds(session, spec, 2)
    say("first inference")
    step = make_step(session, feeds)
    step(0)
    marks["first"] = proc.read_memory()
    say("steady")
    timing.run_iterations(step, clock, 1, 10, spec["steady"]["min_ns"] // 4)
    marks["steady"] = proc.read_memory()
    peaks = {name: mark.get("VmHWM") for name, mark in marks.items()}
    known = [peak for peak in peaks.values() if peak is not None]
    anonymous = [mark["RssAnon"] for mark in marks.values() if "RssAnon" in mark]
    return {
        "peak_rss_bytes": max(known) if known else None,
        "peak_anon_bytes": max(anonymous) if anonymous else None,
        "cgroup_peak_bytes": proc.read_cgroup_peak(),
        "marks_bytes": peaks,
        "reset_before_load": reset,
        "held_bytes": {**marks["steady"], **proc.read_proportional_bytes()},
        **({"stream": session.describe()} if isinstance(session, TimedText) else {}),
    }


def describe_host(spec: Spec, say: Say, started_ns: int) -> dict[str, Any]:
    """Return what this machine is and which of edgekd's engines it has."""
    from edgekd.bench.machine import fingerprint

    missing = {name: find_runtime(name).why_not() for name in BUILT_IN}
    return {
        "facts": fingerprint.collect_host_facts(),
        "now": fingerprint.collect_volatile_facts(),
        "versions": fingerprint.list_engine_versions(),
        "missing": missing,
        "idle": {name: find_runtime(name).why_not_run() for name in BUILT_IN if not missing[name]},
    }
