"""What a policy is: one frozen, typed value that says which gates are asked and how strictly."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import Literal
from typing import NamedTuple

from pydantic import ValidationError
from pydantic import model_validator

from edgekd.gate import Gate
from edgekd.gates import GATES
from edgekd.gates.complexity import ComplexityConfig as Complexity
from edgekd.gates.latency import LatencyConfig as Latency
from edgekd.gates.limits import LimitsConfig as Limits
from edgekd.gates.memory import MemoryConfig as Memory
from edgekd.gates.operators import OperatorsConfig as Operators
from edgekd.gates.parity import ParityConfig as Parity
from edgekd.gates.score import ScoreConfig as Score
from edgekd.gates.size import SizeConfig as Size
from edgekd.recipe import problems
from edgekd.recipe import text as policy_text
from edgekd.recipe.json_schema import DIALECT
from edgekd.settings import Settings

DEFAULT = ("size", "complexity", "operators", "score", "memory", "latency")
"""The gates of a policy that is not given; `parity` is always asked."""


class Policy(Settings):
    """A gate is asked if it is named; ``latency:`` alone takes its defaults."""

    unresolved: Literal["warn", "fail"] = "fail"
    """What an interval that holds the limit is worth: ``fail`` ends with exit code 5, ``warn`` passes
    with a warning (for a pull request, whose release is gated again). What could not be measured at
    all always counts."""
    fail_fast: bool = False
    """Whether a failed exact gate ends the judgement before minutes are spent on measuring."""
    size: Size | None = None
    """Bytes of the engine's files."""
    complexity: Complexity | None = None
    """Weights and multiply-accumulates."""
    operators: Operators | None = None
    """Kernels of the optimized graph."""
    parity: Parity = Parity()
    """Golden answers; always asked, since an engine that answers wrong is not timed."""
    score: Score | None = None
    """Top-1 on the same labelled samples."""
    memory: Memory | None = None
    """Peak resident memory."""
    latency: Latency | None = None
    """Latency, the baseline run again in the same job."""
    limits: Limits | None = None
    """Absolute figures."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: dict[str, Any]) -> dict[str, Any]:
        return {k: {} if k in GATES and v is None else v for k, v in value.items()}


class RequestedGate(NamedTuple):
    """One gate and its configuration in the policy."""

    gate: Gate
    config: Any


def requested_gates(policy: Policy) -> Iterator[RequestedGate]:
    """The gates of a policy, the cheap and exact ones first."""
    for name, entry in GATES.items():
        config = getattr(policy, name)
        if config is not None:
            yield RequestedGate(entry.load(), config)


def load(path: Path | None, overrides: Sequence[str] = ()) -> Policy:
    """The policy in a YAML or TOML file; the usual one where no file is given.

    Args:
        path: the file.
        overrides: ``latency.allowed=0.1``; values are YAML, they count over the file's.

    Raises:
        InputError: one line with file, line, key and what is wrong there.
    """
    if path is None:
        usual: dict[str, Any] = {name: {} for name in DEFAULT}
        document = policy_text.ParsedRecipe(usual, {(): "policy"})
    else:
        document = policy_text.read(path)
    document = policy_text.override(document, overrides)
    if not isinstance(document.value, dict):
        raise policy_text.input_error(document.places[()], (), "got no mapping, want a policy")
    try:
        return Policy.model_validate(document.value)
    except ValidationError as error:
        raise problems.describe_error(error, document, Policy) from error


def schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of a policy, for editors."""
    made = Policy.model_json_schema(mode="validation")
    return {"$schema": DIALECT, **made, "title": "edgekd gate policy"}
