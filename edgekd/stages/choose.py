"""Stage `choose`: the fastest measured student inside the budget; if there is none, by how much.

Only rows that were measured count. A limit on what was not measured is not met, nor is one that the
interval of what was measured does not clear. Where several sizes of free axes were measured, the fastest
is so at the usual ones, and limits of time and memory hold at all; then each size may get an engine of its own
(`edgekd.bench.size_choice`).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from edgekd import files
from edgekd.bench.budget import ACCURACY
from edgekd.bench.budget import AT_EVERY_SIZE
from edgekd.bench.budget import MET
from edgekd.bench.budget import OPEN
from edgekd.bench.budget import Budget
from edgekd.bench.budget import Row
from edgekd.bench.budget import Verdict
from edgekd.bench.budget import judge
from edgekd.bench.budget import judge_sizes
from edgekd.bench.budget import read_latency
from edgekd.bench.roles import STUDENT
from edgekd.bench.rows import is_usual
from edgekd.bench.rows import reference_of
from edgekd.bench.size_choice import choose_by_size
from edgekd.bench.sized_calls import is_of_tokens
from edgekd.bench.status import REFUSED
from edgekd.bench.status import TIMED
from edgekd.bench.status import read_status
from edgekd.profile import QUANTIZED
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.task import Scale

IMPORT = "import"
"""Of a user's own file: whether it could be imported."""
SHOWN = 2
"""Reasons told of a quantized row that was not chosen."""
SPEEDUP = "speedup"
NO_FASTER = 1.005
"""Times slower that two digits would show as 1.00."""
Judged = Mapping[str, Sequence[Verdict]]
"""By name of a row."""


def run(config: Budget, given: Given, context: Context) -> Made:
    """Give choice.json: what `choose_row` returns, and the scale of the score. Takes rows and reference_score.

    Raises:
        InputError: if the budget names a metric that the task has not.
    """
    rows = json.loads(given["rows"].read_bytes())
    reference = json.loads(given["reference_score"].read_bytes())
    path = context.folder / "choice.json"
    scales = [Scale(**scale) for scale in reference["scales"]]
    found = choose_row(rows, config, reference["score"], scales)
    opened = json.loads(given[IMPORT].read_bytes()) if IMPORT in given else {"obstacle": ""}
    if opened["obstacle"]:
        said = "it is measured as it is" if opened.get("is_quantized") else "there is no int8 of it"
        found["why"] += f"; {said}: {opened['obstacle']}"
    chosen = {**found, "metric": scales[0]._asdict()}
    path.write_bytes(files.pretty_json(chosen))
    return {"choice.json": path}


def choose_row(
    rows: Sequence[Row],
    budget: Budget,
    reference_score: float,
    scales: Sequence[Scale] = ACCURACY,
) -> dict[str, Any]:
    """The content of ``choice.json``: a chosen or else a nearest row, its verdicts, why in a sentence,
    and which rows are unstable.

    A row counts with the slow end of its interval, against limits and against other rows; one without
    an interval, or measured while the machine was not fit, keeps no limit of time, and is chosen only
    where nothing else is.
    """
    candidates = [row for row in rows if row["model"] == STUDENT and is_usual(row)]
    measured = [row for row in candidates if row["status"] in TIMED]
    judged = {
        row["name"]: [
            *judge(row, reference_of(row, rows), budget, reference_score, scales),
            *(
                v
                for each in find_other_sizes(row, rows)
                for v in judge_sizes(each, reference_of(each, rows), budget)
            ),
        ]
        for row in measured
    }
    if not measured:
        reasons = "; ".join(f"{row['name']}: {read_status(row)}" for row in candidates)
        return _content(None, None, [], f"no candidate could be measured: {reasons or 'none'}", {})
    inside = [row for row in measured if all(v.verdict == MET for v in judged[row["name"]])]
    best = min(inside, key=_order) if inside else None
    unstable = dict(find_turning_rows(rows, measured, judged, inside, best))
    if best is not None:
        why = _why(best, len(inside), len(measured), unstable)
        why += _int8_lost(best, measured, judged) + _refused(candidates)
        found = _content(best["name"], None, judged[best["name"]], why, unstable)
        return {**found, **_choose_by_size(best, measured, rows, judged, budget, why)}
    nearest = min(measured, key=lambda row: _distance(judged[row["name"]], row))
    missed = [v.message for v in judged[nearest["name"]] if v.verdict != MET]
    why = f"none of {len(measured)} candidates is inside the budget; nearest {nearest['name']}: "
    return _content(
        None, nearest["name"], judged[nearest["name"]], why + "; ".join(missed), unstable
    )


def _choose_by_size(
    best: Row,
    measured: Sequence[Row],
    rows: Sequence[Row],
    judged: Judged,
    budget: Budget,
    why: str,
) -> dict[str, Any]:
    """`by_size` and the reason with it, where several sizes of an axis were timed."""

    def keeps(usual: Row, at: Row) -> bool:
        return all(
            verdict.verdict == MET
            for verdict in judged[usual["name"]]
            if (verdict.row == at["name"] if verdict.row else _counts_at(verdict, at))
        )

    found = choose_by_size(
        best,
        measured,
        lambda row: [each for each in find_other_sizes(row, rows) if not is_of_tokens(each)],
        keeps,
        budget,
        reference_of(best, rows),
    )
    return {} if found is None else {"by_size": found, "why": f"{why}; {found['why']}"}


def _counts_at(verdict: Verdict, at: Row) -> bool:
    """Return whether what was judged at the usual sizes counts at those of a row."""
    return is_usual(at) or verdict.limit not in AT_EVERY_SIZE


def slow_end_ms(row: Row) -> float:
    """The latency a row is compared by; no bound at all if none is assured."""
    worst = read_latency(row).worst
    return math.inf if worst is None else worst


def fast_end_ms(row: Row) -> float:
    """Return how fast it may truly be."""
    return read_latency(row).best or 0.0


def find_turning_rows(
    rows: Sequence[Row],
    measured: Sequence[Row],
    judged: Judged,
    inside: Sequence[Row],
    best: Row | None,
) -> Iterator[tuple[str, str]]:
    """Rows whose interval stayed wide, and the decision that could turn on it.

    That is: which of two rows inside the budget is faster, where one of them is the chosen; and whether
    a row that could be chosen keeps a limit.
    """
    limit_ms = math.inf if best is None else slow_end_ms(best)
    rivals = [row for row in inside if row is not best and fast_end_ms(row) < limit_ms]
    for row in [*rivals, *([best] if best is not None and rivals else [])]:
        if not row.get("settled", True):
            yield row["name"], "whether it is the fastest is open"
    named = {row["name"]: row for row in rows}
    for row in measured:
        verdicts = judged[row["name"]]
        turns = [v for v in verdicts if v.turns]
        could_be = all(v.verdict == MET or v.turns for v in verdicts)
        if not turns or not could_be or fast_end_ms(row) >= limit_ms:
            continue
        for verdict in reversed(turns):
            one = named.get(verdict.row, row)
            for each in (
                one,
                reference_of(one, rows) if verdict.limit.startswith(SPEEDUP) else None,
            ):
                if each is not None and not each.get("settled", True):
                    yield each["name"], f"whether {row['name']} keeps {verdict.limit} is open"


def find_other_sizes(row: Row, rows: Sequence[Row]) -> list[Row]:
    """The rows of the same engine at other sizes."""
    return [other for other in rows if other.get("usual_row") == row["name"]]


def _order(row: Row) -> tuple[float, float, str]:
    return slow_end_ms(row), row["latency_p50_ms"], row["name"]


def _distance(verdicts: Sequence[Verdict], row: Row) -> tuple[bool, float, float]:
    """A row that may keep every limit is nearer than any that misses one."""
    misses = any(v.verdict not in (MET, OPEN) for v in verdicts)
    return misses, sum(v.excess for v in verdicts), row["latency_p50_ms"]


def _why(best: Row, inside: int, measured: int, unstable: Mapping[str, str]) -> str:
    interval = best["latency_ci95_ms"]
    shown = f", 95 % interval {interval[0]:.4g} to {interval[1]:.4g}" if interval else ""
    why = (
        f"{best['name']} is the fastest of {inside} inside the budget "
        f"({measured} measured): {best['latency_p50_ms']:.4g} ms{shown}"
    )
    doubt = read_latency(best).doubt or unstable.get(best["name"], "")
    return f"{why}; {doubt}" if doubt else why


def _int8_lost(best: Row, measured: Sequence[Row], judged: Judged) -> str:
    """Why the quantized rows beside the chosen float one, or else the fastest of them, lost."""
    quantized = [row for row in measured if row["precision"] in QUANTIZED]
    if best["precision"] in QUANTIZED or not quantized:
        return ""
    same = [row for row in quantized if all(row[k] == best[k] for k in ("runtime", "threads"))]
    return "".join(
        f"; {row['name']} {_lost(row, best, judged[row['name']])}"
        for row in same or [min(quantized, key=_order)]
    )


def _refused(candidates: Sequence[Row]) -> str:
    """Which rows were not timed, since what was made of the float student decides too little as it does."""
    return "".join(
        f"; {row['name']} was refused before it was timed: it {row['reason']}"
        for row in candidates
        if row["status"] == REFUSED
    )


def _lost(row: Row, best: Row, verdicts: Sequence[Verdict]) -> str:
    missed = [verdict.message for verdict in verdicts if verdict.verdict != MET]
    if missed:
        return f"misses {missed[0]}"
    times = row["latency_p50_ms"] / best["latency_p50_ms"]
    how = "no faster" if times < NO_FASTER else f"{times:.2f}x slower"
    return f"is {how}: {islands_text(row)}"


def islands_text(row: Row) -> str:
    """Return what computes in float in a quantized row's engine, and why; its kernels where nothing does."""
    counted = Counter((one["op"], one["cause"]) for one in row.get("islands") or ())
    if counted:
        parts = [f"{n} float {op} ({cause})" for (op, cause), n in counted.most_common(SHOWN)]
        rest = sum(counted.values()) - sum(n for _, n in counted.most_common(SHOWN))
        return ", ".join([*parts, *([f"{rest} more float nodes"] if rest else [])])
    kernels = sorted((row.get("kernels") or {}).items(), key=lambda item: (-item[1], item[0]))
    return f"no float islands, {', '.join(f'{n} {kernel}' for kernel, n in kernels[:3])}"


def _content(
    chosen: str | None,
    nearest: str | None,
    verdicts: Sequence[Verdict],
    why: str,
    unstable: Mapping[str, str],
) -> dict[str, Any]:
    shown = ("limit", "want", "got", "verdict", "message")
    return {
        "chosen": chosen,
        "nearest": nearest,
        "budget": [{name: getattr(v, name) for name in shown} for v in verdicts],
        "why": why,
        "unstable": dict(sorted(unstable.items())),
    }


STAGE = Stage(name="choose", settings=Budget, run=run)
