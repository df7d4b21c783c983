"""The process that measures: fresh, alone in its group, gone with its parent; never imports torch.

``python -I -m edgekd.bench.worker`` reads one specification (JSON) on stdin and writes JSON lines on
its stdout: ``{"phase": ...}`` before each phase, so that a crash can be placed, and last a line that
carries the specification's token. What an engine prints goes to stderr: it cannot forge a result.
"""

from __future__ import annotations

import time

STARTED_NS = time.perf_counter_ns()

import contextlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from collections.abc import Mapping  # noqa: E402
from typing import Any  # noqa: E402

from edgekd.bench import memory  # noqa: E402
from edgekd.errors import EdgekdError  # noqa: E402

Say = Callable[[str], None]
"""Names the phase that begins."""

JOBS = {
    "latency": ("edgekd.bench.jobs", "measure_latency"),
    "memory": ("edgekd.bench.jobs", "measure_memory"),
    "offers": ("edgekd.bench.engine_jobs", "list_offers"),
    "compile": ("edgekd.bench.engine_jobs", "compile_model"),
    "score": ("edgekd.bench.score_job", "run_score"),
    "text": ("edgekd.bench.text_jobs", "write_text"),
    "outputs": ("edgekd.bench.answer_jobs", "compute_outputs"),
    "site": ("edgekd.bench.jobs", "describe_host"),
    "lookup": ("edgekd.bench.lookup", "run_lookup"),
    "canary": ("edgekd.bench.machine.canary", "run_canary"),
    "throughput": ("edgekd.bench.scenario.jobs", "measure_throughput"),
    "sustained": ("edgekd.bench.scenario.jobs", "measure_sustained"),
    "paced": ("edgekd.bench.scenario.jobs", "measure_paced"),
    "cold_start": ("edgekd.bench.scenario.jobs", "measure_cold_start"),
    "energy": ("edgekd.bench.scenario.jobs", "measure_energy"),
}
PR_SET_PDEATHSIG = 1


def main() -> int:
    """Do the one job that stdin asks for."""
    channel = os.dup(1)
    os.dup2(2, 1)
    _limit()
    spec = json.loads(sys.stdin.readline())
    die_with(spec["parent_pid"])
    if spec.get("affinity"):
        os.sched_setaffinity(0, spec["affinity"])

    def write(value: Mapping[str, Any]) -> None:
        data = json.dumps(value).encode() + b"\n"
        while data:
            data = data[os.write(channel, data) :]

    write({"token": spec["token"], **_run(spec, lambda phase: write({"phase": phase}))})
    return 0


def _run(spec: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """The job's result, or one line on why there is none and whose fault it is."""
    module, name = JOBS[spec["job"]]
    try:
        job = getattr(__import__(module, fromlist=[name]), name)
        result = job(spec, say, STARTED_NS)
    except ImportError as error:
        return {"fault": "missing", "message": str(error)}
    except (ValueError, EdgekdError) as error:
        return {"fault": "input", "message": str(error)}
    except MemoryError:
        return {"fault": "machine", "message": "out of memory"}
    # a copy first: an engine's own thread may import meanwhile
    loaded = [name for name, module in sys.modules.copy().items() if module is not None]
    foreign = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    return {"result": result, "modules": sorted(foreign), "affinity": _affinity()}


def _limit() -> None:
    """No core dumps; no more memory than is free; and the first to go should there be too little.

    RLIMIT_DATA and not RLIMIT_AS: libraries and mapped weights cost no memory of their own, and
    engines reserve addresses that they never use (onnxruntime 0.5 GB for a model of 2 kB).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = memory.compute_memory_limit()
    if most is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    with contextlib.suppress(OSError):
        memory.OOM_SCORE.write_text("1000")


def _affinity() -> list[int] | None:
    """The cores this process may use, read back from the kernel."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def die_with(parent_pid: int) -> None:
    """Be killed when the parent ends, however it ends; Linux only."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended before we asked
        os._exit(1)


if __name__ == "__main__":
    # the result is out; an engine that takes its time to unload is not waited for
    os._exit(main())
