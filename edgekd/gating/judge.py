"""The judgement: cheap exact gates first, then the statistical ones, weighed together and looked at
twice before one of them fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from edgekd.bench.pair.significance import adjust_holm
from edgekd.bench.process import WorkerFailed
from edgekd.gate import ComparedPair
from edgekd.gate import Finding
from edgekd.gate import Gate
from edgekd.gate import is_failure
from edgekd.gate import not_measured_finding
from edgekd.gating.policy import Policy
from edgekd.gating.policy import RequestedGate
from edgekd.gating.policy import requested_gates
from edgekd.report.gate_result import Outcome
from edgekd.report.gate_result import Verdict

EXACT, STATISTICAL = "exact", "statistical"
TIMED = ("memory", "latency")
"""Gates that an engine which answers wrong does not come to."""
PARITY = "parity"


class GateRound(NamedTuple):
    """The findings of one gate in one round, and what it cost."""

    asked: RequestedGate
    found: tuple[Finding, ...]
    took_s: float
    made: bool = True
    """False if it was not asked at all."""


class CorrectedFinding(NamedTuple):
    """One finding, corrected for the number of gates in its round."""

    found: Finding
    p_holm: float | None
    failed: bool


def judge_policy(pair: ComparedPair, policy: Policy) -> tuple[Outcome, ...]:
    """Judge `pair` by every gate of `policy`, in the table's order.

    A gate whose engine crashes is open, not failed; a statistical gate fails only if it does so
    again with everything measured anew.

    Raises:
        InputError: if samples or inputs do not fit a model.
        MachineError: if the device is not reached.
    """
    looks = list(_first(pair, policy))
    first = correct_findings([found for look in looks for found in look.found])
    again = {
        name: look
        for look in looks
        if look.asked.gate.kind == STATISTICAL and any(first[f.gate].failed for f in look.found)
        for name, look in [(look.asked.gate.name, _looked(pair, look.asked, 1))]
    }
    second = correct_findings([found for look in again.values() for found in look.found])
    return tuple(
        _outcome(look, found.gate, first, second, again.get(look.asked.gate.name), policy)
        for look in looks
        for found in look.found
    )


def _first(pair: ComparedPair, policy: Policy) -> Iterator[GateRound]:
    """Each gate once; those that an earlier failure makes needless are not asked."""
    failed: dict[str, str] = {}
    for one in requested_gates(policy):
        reason = _needless(one.gate, failed, policy.fail_fast)
        look = _skipped(one, reason) if reason else _looked(pair, one, 0)
        yield look
        if look.made and one.gate.kind == EXACT:
            wrong = [found.gate for found in look.found if found.verdict == "fail"]
            failed |= {one.gate.name: wrong[0]} if wrong else {}


def _needless(gate: Gate, failed: Mapping[str, str], fail_fast: bool) -> str:
    """Why a gate is not asked; empty if it is. `failed`: by gate the first of its findings that failed."""
    if PARITY in failed and gate.name in TIMED:
        return f"not asked: an engine that answers wrong is not timed ({failed[PARITY]} failed)"
    if failed and fail_fast and gate.kind != EXACT:
        first = next(iter(failed.values()))
        return f"not asked: {first} failed, and the policy says fail_fast"
    return ""


def _skipped(one: RequestedGate, reason: str) -> GateRound:
    found = Finding(one.gate.name, one.gate.unit, None, None, reason, "inconclusive")
    return GateRound(one, (found,), 0.0, made=False)


def _looked(pair: ComparedPair, one: RequestedGate, number: int) -> GateRound:
    pair.note(f"{one.gate.name}{', measured anew' if number else ''}")
    begun = time.monotonic()
    try:
        found = one.gate.judge(pair, one.config, number)
    except WorkerFailed as error:
        found = (not_measured_finding(one.gate.name, one.gate.unit, str(error)),)
    return GateRound(one, found, time.monotonic() - begun)


def correct_findings(found: Sequence[Finding]) -> dict[str, CorrectedFinding]:
    """By gate: its p-value as it counts among the others, and whether it fails by it."""
    corrected = adjust_holm({one.gate: one.p_value for one in found if one.p_value is not None})
    return {
        one.gate: CorrectedFinding(
            one, corrected.get(one.gate), is_failure(one, corrected.get(one.gate))
        )
        for one in found
    }


def _outcome(
    look: GateRound,
    name: str,
    first: dict[str, CorrectedFinding],
    second: dict[str, CorrectedFinding],
    again: GateRound | None,
    policy: Policy,
) -> Outcome:
    """One line; where there were two looks, the second one's numbers and both in words."""
    weighed, text = first[name], first[name].found.text
    if again is not None:
        weighed = second.get(name) or CorrectedFinding(again.found[0], None, failed=False)
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


def _counts(found: Finding, verdict: Verdict, look: GateRound, policy: Policy) -> bool:
    """An open question counts, unless it was measured and the policy only warns of it."""
    if verdict != "inconclusive":
        return True
    return look.made and (found.got is None or policy.unresolved == "fail")
