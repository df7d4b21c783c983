"""Read back by TensorBoard's own reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekd.trackers import open_trackers
from tests.tracker_example import events

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


@pytest.mark.parametrize("where", ["", "logs"])
def test_a_run_is_read_back_from_its_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tracker,) = open_trackers([f"tensorboard:{where}" if where else "tensorboard"], pytest.fail)
    for event in events(tmp_path):
        tracker(event)
    (folder,) = (tmp_path / (where or "run/tensorboard")).iterdir()
    assert folder.name.startswith("digits-")
    read = accumulator.EventAccumulator(str(folder))
    read.Reload()
    curve = [(point.step, point.value) for point in read.Scalars("distil/kd")]
    assert curve == [(1, 2.0), (2, 1.0)]
    assert read.Scalars("chosen/latency_p50_ms")[0].value == pytest.approx(0.098)
    (text,) = read.Tensors(
        "settings/text_summary" if "settings/text_summary" in read.Tags()["tensors"] else "settings"
    )[:1]
    assert b"| learn.0.losses.0.weight | 0.9 |" in text.tensor_proto.string_val[0]
