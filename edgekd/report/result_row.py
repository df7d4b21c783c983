"""A row of result.json: one engine, precision and number of threads, as it was measured."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgekd.bench.roles import MeasuredRole
from edgekd.bench.status import Word
from edgekd.settings import Fraction
from edgekd.settings import NonNegative
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.settings import omit_default

Interval = tuple[float, float]
Number = Annotated[float, Field(allow_inf_nan=False)]


class OutputParity(Settings):
    """The difference of one output from torch's on the golden inputs."""

    max_abs: NonNegative
    rms: NonNegative
    steps: NonNegative | None = None


class Row(Settings):
    """One engine, precision and number of threads, measured on this machine at batch 1."""

    name: str
    model: MeasuredRole
    runtime: str
    runtime_version: str | None
    precision: str
    profile: str = ""
    """Of the Q/DQ file it was compiled from; empty for the float one."""
    threads: Annotated[int, Field(ge=1)]
    sizes: dict[str, Whole] = {}
    """Of the free axes, by their names; empty where only the batch is free."""
    share: Fraction | None = omit_default(None)
    """Part of the validation samples that fall to these sizes, where those of one axis are timed: no longer, and longer
    than the next smaller size."""
    usual_row: str = ""
    """Name of the row of the same engine at the usual sizes, which is the one that may be chosen; empty of that."""
    score: Number | None
    """On the test set through the engine; null if it was not evaluated."""
    score_ci95: Interval | None = None
    """95 % interval of it over the samples."""
    validation_score: Number | None
    """On the validation split through the engine."""
    validation_ci95: Interval | None = None
    """The same of it; null unless a score is the share of samples that are right."""
    metrics: dict[str, Number] = {}
    """All of the task's on the validation split through the engine, by name."""
    test_metrics: dict[str, Number] = {}
    """The same on the test set."""
    latency_p50_ms: NonNegative | None
    latency_ci95_ms: Interval | None
    """95 % confidence interval of the median, over processes."""
    decode_tokens_per_s: NonNegative | None = omit_default(None)
    """Of a row with a context of a decoder: tokens a second behind the first, from the median time between two."""
    stream: dict[str, str] = omit_default({})
    """Of a row of a decoder's tokens: ``attention``, the operator and the numbers it computes in, and ``cache``, those that keys
    and values of earlier tokens are kept in, as the engine said."""
    latency_p90_ms: NonNegative | None
    peak_rss_bytes: Whole | None
    cold_start_ms: dict[str, float] | None
    """By phase."""
    size_bytes: Whole | None
    """Of the engine's files."""
    parity_max_abs: NonNegative | None
    """Largest difference of a logit from torch's on the golden inputs."""
    parity_rms: NonNegative | None = None
    """Root of the mean square of those differences."""
    parity_steps: NonNegative | None = None
    """The largest difference in quantization steps of the logits; null if it is not quantized."""
    parity_outputs: dict[str, OutputParity] = {}
    """The same of each output, where there are several."""
    agreement: Fraction | None
    """With torch on the golden inputs."""
    float_agreement: Fraction | None = omit_default(None)
    """With the student in float32 on them; of other models there is none. What falls below the floor of the task, or of
    the recipe, is refused before it is timed."""
    kernels: dict[str, int] | None
    islands: tuple[dict[str, str], ...] = ()
    """Nodes that compute in float inside an int8 graph: ``node``, ``op``, ``cause``."""
    processes: Whole | None
    iterations: Whole | None
    latency_caller_p50_ms: NonNegative | None = None
    """Median of the same inference as a Python program sees it that hands arrays over; `latency_p50_ms`
    is the engine's own time, its inputs and outputs bound."""
    status: Word
    """``unstable``: its interval stayed wide, and a decision could turn on that; ``invalid``: the machine was not fit;
    ``refused``: it decides too little as the student in float32 does, and was not timed."""
    reason: str
    """Why it is not ok; empty if it is."""
