"""The judgement: cheap exact gates first, then the statistical ones, weighed together and looked at
twice before one of them fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

from edgekd.bench.pair.paired import holm
from edgekd.bench.process import WorkerFailed
from edgekd.gate import Found
from edgekd.gate import Gate
from edgekd.gate import Pair
from edgekd.gate import fails
from edgekd.gate import missing
from edgekd.gating.policy import Asked
from edgekd.gating.policy import Policy
from edgekd.gating.policy import asked
from edgekd.report.gate_result import Outcome
from edgekd.report.gate_result import Verdict

EXACT, STATISTICAL = "exact", "statistical"
TIMED = ("memory", "latency")
"""Gates that an engine which answers wrong does not come to."""
PARITY = "parity"


class Look(NamedTuple):
    """What one gate found in one look, and what it cost."""

    asked: Asked
    found: tuple[Found, ...]
    took_s: float
    made: bool = True
    """False if it was not asked at all."""


class Weighed(NamedTuple):
    """One finding beside the others of its look."""

    found: Found
    p_holm: float | None
    failed: bool


def judged(pair: Pair, policy: Policy) -> tuple[Outcome, ...]:
    """Every gate of `policy` on `pair`, in the table's order.

    A gate whose engine crashes is open, not failed; a statistical gate fails only if it does so
    again with everything measured anew.

    Raises:
        InputError: if samples or inputs do not fit a model.
        MachineError: if the device is not reached.
    """
    looks = list(_first(pair, policy))
    first = weigh([found for look in looks for found in look.found])
    again = {
        name: look
        for look in looks
        if look.asked.gate.kind == STATISTICAL and any(first[f.gate].failed for f in look.found)
        for name, look in [(look.asked.gate.name, _looked(pair, look.asked, 1))]
    }
    second = weigh([found for look in again.values() for found in look.found])
    return tuple(
        _outcome(look, found.gate, first, second, again.get(look.asked.gate.name), policy)
        for look in looks
        for found in look.found
    )


def _first(pair: Pair, policy: Policy) -> Iterator[Look]:
    """Each gate once; those that an earlier failure makes needless are not asked."""
    failed: list[str] = []
    for one in asked(policy):
        reason = _needless(one.gate, failed, policy.fail_fast)
        look = _skipped(one, reason) if reason else _looked(pair, one, 0)
        yield look
        if look.made and one.gate.kind == EXACT:
            failed += [found.gate for found in look.found if found.verdict == "fail"]


def _needless(gate: Gate, failed: Sequence[str], fail_fast: bool) -> str:
    """Why a gate is not asked; empty if it is."""
    wrong = [name for name in failed if name.startswith(f"{PARITY}.")]
    if wrong and gate.name in TIMED:
        return f"not asked: an engine that answers wrong is not timed ({wrong[0]} failed)"
    if failed and fail_fast and gate.kind != EXACT:
        return f"not asked: {failed[0]} failed, and the policy says fail_fast"
    return ""


def _skipped(one: Asked, reason: str) -> Look:
    found = Found(one.gate.name, one.gate.unit, None, None, reason, "inconclusive")
    return Look(one, (found,), 0.0, made=False)


def _looked(pair: Pair, one: Asked, number: int) -> Look:
    pair.note(f"{one.gate.name}{', measured anew' if number else ''}")
    begun = time.monotonic()
    try:
        found = one.gate.judge(pair, one.config, number)
    except WorkerFailed as error:
        found = (missing(one.gate.name, one.gate.unit, str(error)),)
    return Look(one, found, time.monotonic() - begun)


def weigh(found: Sequence[Found]) -> dict[str, Weighed]:
    """By gate: its p-value as it counts among the others, and whether it fails by it."""
    corrected = holm({one.gate: one.p_value for one in found if one.p_value is not None})
    return {
        one.gate: Weighed(one, corrected.get(one.gate), fails(one, corrected.get(one.gate)))
        for one in found
    }


def _outcome(
    look: Look,
    name: str,
    first: dict[str, Weighed],
    second: dict[str, Weighed],
    again: Look | None,
    policy: Policy,
) -> Outcome:
    """One line; where there were two looks, the second one's numbers and both in words."""
    weighed, text = first[name], first[name].found.text
    if again is not None:
        weighed = second.get(name) or Weighed(again.found[0], None, failed=False)
        confirmed = "failed again" if weighed.failed else "did not fail again"
        text = f"{weighed.found.text}; {confirmed} when measured anew, first: {text}"
    found = weighed.found
    verdict: Verdict = "fail" if weighed.failed else found.verdict
    return Outcome(
        gate=name,
        kind=look.asked.gate.kind,
        verdict=verdict,
        counts=_counts(found, verdict, look, policy),
        unit=found.unit,
        got=found.got,
        allowed=found.allowed,
        interval=found.interval,
        p_value=found.p_value,
        p_holm=weighed.p_holm,
        looks=(2 if again is not None else 1) if look.made else 0,
        text=text,
        evidence=found.evidence,
        took_s=look.took_s + (again.took_s if again is not None else 0.0),
    )


def _counts(found: Found, verdict: Verdict, look: Look, policy: Policy) -> bool:
    """An open question counts, unless it was measured and the policy only warns of it."""
    if verdict != "inconclusive":
        return True
    return look.made and (found.got is None or policy.unresolved == "fail")
