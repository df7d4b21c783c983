"""Many graphs in one worker, on the engine that only sleeps: order kept, faults told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgekd.bench import lookup
from edgekd.bench.process import WorkerFailed

HOW = lookup.LookupSettings("null", rounds=3, turn_ns=1, timeout_s=60)


def graph(folder: Path, name: str, **says: object) -> Path:
    path = folder / name
    path.write_text(json.dumps(says))
    return path


def test_each_graph_has_its_own_times_in_order(tmp_path: Path) -> None:
    sleeps_ms = (4, 1, 8)
    paths = [graph(tmp_path, f"{i}.onnx", run_ms=ms) for i, ms in enumerate(sleeps_ms)]
    turns = lookup.medians_ns(paths, HOW)
    assert [len(one) for one in turns] == [3, 3, 3]
    for one, ms in zip(turns, sleeps_ms, strict=True):
        assert min(one) >= ms * 1e6
    assert [us >= ms * 1000 for us, ms in zip(lookup.times_us(paths, HOW), sleeps_ms, strict=True)]


def test_pairs_keep_a_and_b_apart_whoever_goes_first(tmp_path: Path) -> None:
    a, b = graph(tmp_path, "a", run_ms=40), graph(tmp_path, "b", run_ms=1)
    found = lookup.time_pairs(a, b, HOW._replace(rounds=1), 2)
    assert found.a_ms >= 40 and found.b_ms >= 1 and found.processes == 2
    assert found.ratio > 1 and found.interval is None  # two processes carry none


def test_a_crash_names_the_graph(tmp_path: Path) -> None:
    paths = [graph(tmp_path, "a"), graph(tmp_path, "b", fault="segfault", fault_at="load")]
    with pytest.raises(WorkerFailed, match=r"SIGSEGV during load in/graph-1\.onnx"):
        lookup.times_us(paths, HOW)


def test_turns_of_another_number_of_graphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "run_worker", lambda *_, **__: {"turns_ns": [[1.0]]})
    with pytest.raises(WorkerFailed, match="got turns of 1 graphs, want 2"):
        lookup.times_us([tmp_path, tmp_path], HOW)
