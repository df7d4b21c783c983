"""The published schema of what ``edgekd gate`` found, ``edgekd.gate/2``.

Every gate asks whether what was got is at most what is allowed, so a reader needs one rule: a drop,
a ratio and a growth are all better small.

History: 1, the first. 2: of any task; `samples.images_sha256` became `samples.sha256`, the gate `parity.logits`
`parity.outputs`, and its unit `logits` `difference`. Both are read.
"""

from __future__ import annotations

from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import AliasChoices
from pydantic import Field

from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.settings import omit_default
from edgekd.units import bytes_text
from edgekd.units import count_text

SCHEMA: Literal["edgekd.gate/2"] = "edgekd.gate/2"
Verdict = Literal["pass", "fail", "inconclusive"]
Kind = Literal["exact", "statistical", "limit"]
Unit = Literal[
    "bytes", "count", "kinds", "difference", "logits", "points", "ratio", "fraction", "ms", "score"
]
"""A difference of outputs; `logits` is that in documents of the first format."""
NONE = "–"


class Outcome(Settings):
    """One gate."""

    gate: str
    kind: Kind
    verdict: Verdict
    counts: bool = True
    """Whether the verdict decides about the whole; false for an open question the policy only warns
    of."""
    unit: Unit
    got: float | None
    """None if it was not measured."""
    allowed: float | None
    """The most that passes; for the limits `score`, the least."""
    interval: tuple[float, float] | None = None
    """95 %."""
    p_value: float | None = None
    """One-sided, that it is no worse than allowed."""
    p_holm: float | None = None
    """The same after Holm's correction over all statistical gates of the policy."""
    looks: Annotated[int, Field(ge=0, le=2)] = 1
    """2 if it failed and was measured anew; 0 if it was not asked at all."""
    text: str
    """One sentence."""
    evidence: dict[str, Any] = {}
    """What the numbers were made of: counts, log-ratios, differences."""
    took_s: Annotated[float, Field(ge=0)] = 0.0


class SideFacts(Settings):
    """One of the two models."""

    given: str
    """As it was named on the command line."""
    name: str
    """Of its recipe."""
    bundle_digest: str
    model_sha256: str
    runtime: str
    runtime_version: str | None
    precision: str
    threads: int
    size_bytes: Whole
    """Of the engine's files."""
    near_chance: bool = omit_default(False)
    """Whether its run found that it hardly does better than guessing."""


class SampleFacts(Settings):
    """The samples with targets that both answered."""

    source: str
    count: Whole
    sha256: Annotated[str, Field(validation_alias=AliasChoices("sha256", "images_sha256"))]


class GateDocument(Settings):
    """The document that ``edgekd gate --json`` prints."""

    format: Annotated[Literal["edgekd.gate/1", "edgekd.gate/2"], Field(alias="schema")] = SCHEMA
    edgekd: str
    ended_utc: str
    device: str
    fingerprint: str
    """Key of the machine on which both were measured."""
    run: SideFacts
    baseline: SideFacts
    samples: SampleFacts | None
    policy: dict[str, Any]
    """As it was in force, defaults written out."""
    verdict: Verdict
    outcomes: tuple[Outcome, ...]


def schema() -> dict[str, Any]:
    """The JSON schema of `GateDocument`."""
    return GateDocument.model_json_schema(mode="serialization")


def overall_verdict(outcomes: tuple[Outcome, ...]) -> Verdict:
    """``fail`` if one gate failed, else ``inconclusive`` if one that counts is open."""
    verdicts = {outcome.verdict for outcome in outcomes if outcome.counts}
    return next((v for v in ("fail", "inconclusive") if v in verdicts), "pass")


def list_warnings(document: GateDocument) -> list[str]:
    """What makes the gates say little, a sentence each."""
    return [
        f"{side.given}: its student is near chance: beside it a small drop says little"
        for side in (document.run, document.baseline)
        if side.near_chance
    ]


def format_value(value: float | None, unit: Unit) -> str:
    """Format a gate's number for people."""
    if value is None:
        return NONE
    if unit == "bytes":
        return f"{value:.0f} B" if abs(value) < 10**4 else bytes_text(value)
    if unit == "count":
        return count_text(value)
    forms = {"kinds": "{:.0f}", "points": "{:.2f} points", "ratio": "{:.3f}x", "ms": "{:.4g} ms"}
    return forms.get(unit, "{:.4g}").format(value)


def format_interval(outcome: Outcome) -> str:
    """``1.012x to 1.031x``."""
    if outcome.interval is None:
        return NONE
    low, high = (format_value(end, outcome.unit) for end in outcome.interval)
    return f"{low} to {high}"


def verdict_word(outcome: Outcome) -> str:
    """The word for a verdict in tables: an open question that does not count is a warning."""
    return (
        "warning" if outcome.verdict == "inconclusive" and not outcome.counts else outcome.verdict
    )
