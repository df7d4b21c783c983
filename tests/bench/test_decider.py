"""The engine that decides, on the one that only sleeps."""

from __future__ import annotations

import json
from pathlib import Path

from edgekd.bench.decider import Decider
from edgekd.devices import local


def model(folder: Path, name: str, run_ms: int) -> Path:
    path = folder / name
    path.write_text(json.dumps({"run_ms": run_ms}))
    return path


def test_before_and_after_keep_their_places(tmp_path: Path) -> None:
    decider = Decider(runtime="null", processes=2, timeout_s=60.0)
    slow, fast = model(tmp_path, "slow", 20), model(tmp_path, "fast", 4)
    found = decider.time_pair(slow, fast, local.DEVICE)
    assert found.before_ms >= 20 and found.after_ms >= 4 and found.ratio > 1
    assert found.ratio_ci95 is None  # two processes carry none


def test_a_worker_is_told_what_was_asked() -> None:
    how = Decider(runtime="openvino", precision="bf16", threads=2, timeout_s=5.0).lookup_settings()
    assert (how.runtime, how.precision, how.threads, how.timeout_s) == ("openvino", "bf16", 2, 5.0)
