from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from edgekd.errors import InputError
from edgekd.gates import GATES
from edgekd.gating import policy

SHIPPED = Path(__file__).parents[2] / "ci" / "gates.yaml"


def write(folder: Path, text: str, name: str = "gates.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def names(told: policy.Policy) -> list[str]:
    return [one.gate.name for one in policy.requested_gates(told)]


def test_the_shipped_policy_is_the_usual_one_and_fits_the_schema() -> None:
    assert policy.load(SHIPPED) == policy.load(None)
    jsonschema.Draft202012Validator.check_schema(policy.schema())
    jsonschema.validate(yaml.safe_load(SHIPPED.read_text()), policy.schema())
    assert not policy.load(None).fail_fast and not policy.Policy().fail_fast
    assert set(names(policy.load(None))) == set(GATES) - {"limits"}


def test_a_gate_is_asked_if_it_is_named_parity_always(tmp_path: Path) -> None:
    told = policy.load(write(tmp_path, "latency:\nsize: {allowed: 0.1}\n"))
    assert names(told) == ["size", "parity", "latency"]  # in the table's order
    assert told.size is not None and told.size.allowed == 0.1
    toml = policy.load(write(tmp_path, "[latency]\n[size]\nallowed = 0.1\n", "gates.toml"))
    assert toml == told


def test_a_line_changes_one_value(tmp_path: Path) -> None:
    path = write(tmp_path, "latency:\n")
    told = policy.load(path, ["latency.allowed=0.1", "unresolved=warn", "memory.pairs=10"])
    assert told.latency is not None and told.latency.allowed == 0.1
    assert told.unresolved == "warn" and names(told) == ["parity", "memory", "latency"]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (
            "latency: {alowed: 0.1}",
            r"gates.yaml:1: latency.alowed: got unknown key, did you mean 'allowed'",
        ),
        ("size:\nlatncy:\n", r"gates.yaml:2: latncy: got unknown key, did you mean 'latency'"),
        ("\nlatency:\n  allowed: -1", r"gates.yaml:3: latency.allowed: got -1, want .*>= 0"),
        ("latency: {allowed: 1.5}", r"latency.allowed: got 1.5, want .*< 1"),
        ("memory: {pairs: 3}", r"memory.pairs: got 3, want an integer >= 6"),
        ("unresolved: maybe", r"unresolved: got 'maybe', want 'warn' or 'fail'"),
        ("limits: {latency_p50_ms: 1}", r"limits: got latency_p50_ms alone, want the fingerprint"),
        ("[1, 2]", r"got no mapping, want a policy"),
        ("size: !!python/name:os.system", r"gates.yaml:1"),
        ("size: {allowed: .nan}", r"size.allowed: got nan"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, want: str) -> None:
    with pytest.raises(InputError, match=want) as caught:
        policy.load(write(tmp_path, text))
    assert len(caught.value.line()) < 200 and caught.value.line().isprintable()
