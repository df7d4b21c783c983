"""The second process as the first sees it: what it says is shown, what it fails to do is told, it never outlives."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgekd import side_process
from edgekd.progress import EpochEnd
from edgekd.progress import Event
from edgekd.progress import Silent
from edgekd.side_process import SideProcess
from edgekd.side_process import SideProcessFailed
from edgekd.side_process import WatchfulProgress
from edgekd.side_process import may_start

TOLD = [
    {"what": "begin", "label": "control"},
    {"what": "update", "label": "control", "done": 1, "total": 2, "text": "half"},
    {"what": "note", "label": "control", "text": "a note"},
    {"what": "epoch", "label": "control", "epoch": 1, "epochs": 2, "values": {"kd": 0.5}},
    {"what": "end", "label": "control", "took_s": 2.0},
]


class Seen(Silent):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def stage(self, label: str) -> None:
        self.lines.append(("stage", label))

    def update(self, done: int, total: int, text: str) -> None:
        self.lines.append((done, total, text))

    def note(self, text: str) -> None:
        self.lines.append(text)

    def event(self, event: Event) -> None:
        self.lines.append(event)


@contextmanager
def speaking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, **more: Any
) -> Iterator[SideProcess]:
    """A side process that runs `script`, with its order as `order` and `say` for a line."""
    (tmp_path / "stand_in.py").write_text(
        "import json, os, sys, time\norder = json.load(sys.stdin)\n"
        "say = lambda line: print(json.dumps(line), flush=True)\n" + script
    )
    monkeypatch.setattr(side_process, "MODULE", "stand_in")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with SideProcess({"goal": str(tmp_path)}, ["check", "control"], "check", **more) as side:
        side.start()
        yield side


def said(*lines: dict[str, Any]) -> str:
    return "\n".join(f"say({line!r})" for line in lines)


def wait_for_end(side: SideProcess) -> None:
    while side.is_running:
        time.sleep(0.01)


def test_what_it_said_is_shown_when_its_step_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen()
    with speaking(tmp_path, monkeypatch, said(*TOLD)) as side:
        wait_for_end(side)
        assert side.await_step("control", lambda: "found", seen) == "found" and seen.lines == []
        assert side.report_step("control", seen)
        assert not side.report_step("check", seen)
    note, epoch, ended = seen.lines
    assert note == "control: a note" and ended.startswith("control: ended after 2.0 s")
    assert epoch == EpochEnd("", 1, 2, {"kd": 0.5})


def test_a_step_that_it_is_at_is_waited_for_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, goal = Seen(), tmp_path / "result"
    script = f"{said(*TOLD[:2])}\ntime.sleep(0.2); open({str(goal)!r}, 'w').close()\n" + said(
        *TOLD[2:]
    )
    with speaking(tmp_path, monkeypatch, script, preferred=["control"]) as side:
        assert side.await_step("control", goal.exists, seen)
        assert side.report_step("control", seen)
    assert seen.lines[:2] == [("stage", "control"), (1, 2, "half")]
    assert "a note" in seen.lines


def test_a_step_that_it_is_not_at_is_made_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with speaking(tmp_path, monkeypatch, f"{said(TOLD[0])}\ntime.sleep(60)") as side:
        assert side.await_step("check", lambda: None, Silent()) is None
        assert not side.report_step("check", Silent())


def test_a_free_one_that_does_not_begin_a_step_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may look for inputs by other keys than the first has: then both would wait for ever."""
    monkeypatch.setattr(side_process, "FREE_S", 0.05)
    with speaking(tmp_path, monkeypatch, "time.sleep(600)", preferred=["control"]) as side:
        assert side.await_step("control", lambda: None, Silent()) is None
        assert side.is_running


@pytest.mark.parametrize(
    ("script", "fails"), [("", True), (said({**TOLD[-1], "label": "check"}), False)]
)
def test_its_end_before_the_first_step_stops_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, fails: bool
) -> None:
    with speaking(tmp_path, monkeypatch, script) as side:
        wait_for_end(side)
        watched = WatchfulProgress(Silent(), side)
        if fails:
            with pytest.raises(SideProcessFailed):
                watched.update(1, 2, "")
        watched.event(TOLD)  # type: ignore[arg-type]  # passed on, whatever it is
        if not fails:
            watched.update(1, 2, "")


def test_it_ends_with_all_that_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "import subprocess; child = subprocess.Popen(['sleep', '60'])\n"
        "say({'what': 'note', 'label': '', 'text': child.pid})\ntime.sleep(60)"
    )
    with speaking(tmp_path, monkeypatch, script) as side:
        while not side._said:
            side._listen()
        pid = int(side._said[""][0]["text"])
    for _ in range(200):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().split()[2] == "Z":
            return
        time.sleep(0.01)
    raise AssertionError("it outlived the run")


def test_its_order_names_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "open(order['goal'] + '/order', 'w').write(json.dumps(order))"
    with speaking(tmp_path, monkeypatch, script) as side:
        wait_for_end(side)
    order = json.loads((tmp_path / "order").read_text())
    assert order["labels"] == ["check", "control"] and order["first"] == "check"
    assert order["parent_pid"] == os.getpid()


@pytest.mark.parametrize(("name", "value"), [("WORLD_SIZE", "2"), ("EDGEKD_FAULT", "kill@3")])
def test_none_beside_ranks_and_counted_faults(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setattr(side_process, "count_cores", lambda: 2)
    monkeypatch.setattr(side_process, "NVIDIA", Path("/nothing"))
    for each in ("WORLD_SIZE", "EDGEKD_FAULT"):
        monkeypatch.delenv(each, raising=False)
    assert may_start()
    monkeypatch.setenv(name, value)
    assert not may_start()


def test_none_without_a_core_to_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_process, "count_cores", lambda: 1)
    assert not may_start()
