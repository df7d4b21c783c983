from __future__ import annotations

from pathlib import Path

import pytest

from edgekd.gates import size
from tests import gate_example


@pytest.mark.parametrize(
    ("bytes_", "allowed", "verdict"),
    [
        (1000, 0.0, "pass"),
        (1001, 0.0, "fail"),
        (1010, 0.01, "pass"),
        (1011, 0.01, "fail"),
        (9, 0.0, "pass"),
    ],
)
def test_one_byte_beyond_what_is_allowed_fails(
    tmp_path: Path, bytes_: int, allowed: float, verdict: str
) -> None:
    pair = gate_example.pair(tmp_path, run={"size_bytes": bytes_})
    pair = pair._replace(baseline=pair.baseline._replace(size_bytes=1000))
    found = gate_example.only(size.judge(pair, size.SizeConfig(allowed=allowed), 0))
    assert (found.verdict, found.got, found.evidence) == (verdict, bytes_, {"baseline": 1000})
