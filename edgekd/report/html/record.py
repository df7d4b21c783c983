"""What a page shows of one run: its result, and what the steps left beside it."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from edgekd.report.html.latencies import LatencySpread
from edgekd.report.result import Result


class RunRecord(NamedTuple):
    """One finished run; of what is empty a page has no section."""

    result: Result
    scores: Mapping[str, Mapping[str, Any]] = {}
    """score.json by the label of its step, in the order of the steps."""
    histories: Mapping[str, Sequence[Mapping[str, float]]] = {}
    """history.json by the label of its step."""
    quantized: Mapping[str, str] = {}
    """Label of the step that rounds the student, by numerics."""
    tables: Mapping[str, Mapping[str, Any]] = {}
    """What steps found layer by layer, by file name (`edgekd.report.tables`)."""
    explained: Mapping[str, Any] | None = None
    """explain.json."""
    samples: Sequence[Mapping[str, Any]] = ()
    """samples.json: those on which student and teacher are the farthest apart."""
    spreads: Mapping[str, LatencySpread] = {}
    """How latencies are spread, by row."""
