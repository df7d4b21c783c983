"""The table of how decoders write: score, first token and tokens a second of each, the teacher's beside the student's."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping

from edgekd.bench.call import CONTEXT
from edgekd.bench.call import PROMPT
from edgekd.report.quantization_tables import NONE
from edgekd.report.quantization_tables import number_or_none
from edgekd.report.result import Result
from edgekd.report.result_row import Row
from edgekd.report.tables import PageTable
from edgekd.task import Scale
from edgekd.task import value_text
from edgekd.units import bytes_text

FILE = "result.json"
Sized = Mapping[tuple[str, str, int], Row]
"""Rows by the name of their engine's usual row, the axis that was sized, and its size."""


def make_generation_table(result: Result) -> PageTable | None:
    """One line a candidate, then one for each row they are compared with; None where nobody measured how they write.

    Args:
        result: whose rows name the length of a prompt or of a context.
    """
    rows = (*result.candidates, *result.references)
    sized = {
        (row.usual_row, axis, size): row
        for row in rows
        for axis, size in row.sizes.items()
        if row.usual_row and axis in (PROMPT, CONTEXT)
    }
    if not sized:
        return None
    scale = Scale(**result.metric.model_dump())
    lengths = {
        name: sorted({size for _, axis, size in sized if axis == name})
        for name in (PROMPT, CONTEXT)
    }
    return PageTable(
        "Writing",
        FILE,
        ("One text at a time, in fresh processes; lengths are tokens.",),
        (
            "candidate",
            f"test {scale.name}",
            *(f"first token behind {size}, ms" for size in lengths[PROMPT]),
            *(f"tokens/s behind {size}" for size in lengths[CONTEXT]),
            *(f"beside its reference behind {size}" for size in lengths[CONTEXT][-1:]),
            "attention",
            "cache",
            "memory",
            "size",
        ),
        tuple(
            tuple(_cells(row, result, scale, sized, lengths)) for row in rows if not row.usual_row
        ),
        0,
    )


def _cells(
    row: Row, result: Result, scale: Scale, sized: Sized, lengths: Mapping[str, list[int]]
) -> Iterator[str]:
    yield f"{row.name} (chosen)" if row.name == result.chosen else row.name
    yield NONE if row.score is None else value_text(scale, row.score)
    own = [each for (name, _, _), each in sized.items() if name == row.name]
    for size in lengths[PROMPT]:
        found = sized.get((row.name, PROMPT, size))
        yield number_or_none(found.latency_p50_ms if found else None)
    for size in lengths[CONTEXT]:
        rate = _find_rate(sized, row, size)
        yield NONE if rate is None else f"{rate:.0f}" if rate >= 100 else f"{rate:.3g}"
    for size in lengths[CONTEXT][-1:]:
        beside = next((each for each in result.references if _is_beside(each, row)), None)
        rate, other = (_find_rate(sized, each, size) if each else None for each in (row, beside))
        yield f"{rate / other:.2f}x" if rate and other else NONE
    stream = next((each.stream for each in own if each.stream), {})
    yield from (stream.get(what, NONE) for what in ("attention", "cache"))
    peaks = [each.peak_rss_bytes for each in (row, *own) if each.peak_rss_bytes is not None]
    yield bytes_text(max(peaks)) if peaks else NONE
    yield NONE if row.size_bytes is None else bytes_text(row.size_bytes)


def _find_rate(sized: Sized, row: Row, context: int) -> float | None:
    found = sized.get((row.name, CONTEXT, context))
    return found.decode_tokens_per_s if found else None


def _is_beside(reference: Row, row: Row) -> bool:
    """Whether it is what a candidate is compared with: another model, the same engine and threads."""
    alike = (reference.runtime, reference.threads) == (row.runtime, row.threads)
    return alike and not reference.usual_row and reference.model != row.model
