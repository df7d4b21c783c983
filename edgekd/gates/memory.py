"""Gate `memory`: peak resident memory, both models loaded and run in turns in fresh processes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgekd.bench.pair.significance import sign_test
from edgekd.bench.statistics import median
from edgekd.bench.statistics import median_interval
from edgekd.device import TIMEOUT_S
from edgekd.gate import ComparedPair
from edgekd.gate import Finding
from edgekd.gate import Gate
from edgekd.gate import judge_interval
from edgekd.gate import measure_peak_bytes
from edgekd.gate import not_measured_finding
from edgekd.settings import NonNegative
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.units import bytes_text


class MemoryConfig(Settings):
    """Allowed growth of the peak memory."""

    allowed: NonNegative = 0.05
    """Growth of the peak, as a fraction of the baseline's; the engine and Python are in it."""
    pairs: Annotated[int, Field(ge=6, le=100)] = 8
    """Fresh processes of each; an interval needs six."""
    timeout_s: Positive = TIMEOUT_S
    """After this a process is killed."""


def judge(pair: ComparedPair, config: MemoryConfig, look: int) -> tuple[Finding, ...]:
    """Differences of pairs of peaks (VmHWM), the run's minus the baseline's."""
    if pair.emulated:
        return (not_measured_finding("memory", "bytes", f"emulated ({pair.emulated})"),)
    peaks: dict[bool, list[int]] = {True: [], False: []}
    for number in range(config.pairs):
        for is_run in (True, False) if number % 2 else (False, True):
            side = pair.run if is_run else pair.baseline
            peak = measure_peak_bytes(pair, side, config.timeout_s)
            if peak is None:
                return (
                    not_measured_finding(
                        "memory", "bytes", "this system does not tell a process's peak"
                    ),
                )
            peaks[is_run].append(peak)
        pair.note(f"memory: pair {number + 1} of {config.pairs}")
    ours, theirs = median(peaks[True]), median(peaks[False])
    differences = [a - b for a, b in zip(peaks[True], peaks[False], strict=True)]
    allowed = theirs * config.allowed
    return (
        judge_interval(
            "memory",
            "bytes",
            median(differences),
            allowed,
            f"{bytes_text(ours)} against {bytes_text(theirs)}, {config.pairs} pairs",
            interval=median_interval(differences),
            p_value=sign_test(differences, allowed),
            evidence={"run": peaks[True], "baseline": peaks[False]},
        ),
    )


GATE = Gate("memory", "statistical", "bytes", MemoryConfig, judge)
