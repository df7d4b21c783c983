"""The Python API as a user meets it: the command line's store, bytes, errors and interruptions."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgekd
from edgekd.progress import EpochEnd
from edgekd.progress import Event
from edgekd.progress import RunEnd
from edgekd.progress import StepEnd
from edgekd.recipe import text
from tests.system.conftest import RECIPE
from tests.system.conftest import SMALL
from tests.system.conftest import Place
from tests.system.conftest import edgekd as command_line
from tests.system.test_compress import LASTING
from tests.system.test_compress import ONE_ENGINE
from tests.system.test_compress import digests

SCRIPT = """
import json, signal, sys
import edgekd
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
recipe, run_dir, store = sys.argv[1:]
edgekd.compress(json.loads(recipe), run_dir=run_dir, store=store)
"""


def small_recipe(*overrides: str) -> dict[str, Any]:
    """The small recipe of the command line's tests as a mapping."""
    value: dict[str, Any] = text.override(text.read(RECIPE), (*SMALL, *overrides)).value
    return value


def test_a_mapping_finds_what_the_command_line_made(finished: Place, tmp_path: Path) -> None:
    place = finished.copy_to(tmp_path)
    events: list[Event] = []
    result = edgekd.compress(
        small_recipe(),
        run_dir=place.run_dir,
        store=place.store,
        callbacks=[events.append],
        quiet=True,
    )
    missed = {e.label for e in events if isinstance(e, StepEnd) and not e.hit}
    assert missed <= {"report"}  # which says what the command line changed of its recipe
    assert not any(isinstance(event, EpochEnd) for event in events)
    end = events[-1]
    assert isinstance(end, RunEnd) and end.result is not None
    assert end.result["chosen"] == result.document.chosen
    assert result.bundle == place.run_dir / "bundle" and result.missed == ""
    assert result.chosen in result.rows and result.score == result.chosen.score
    assert result.report.is_file() and result.document.chosen in result._repr_markdown_()


class Enough(Exception):
    """Stands for the user's patience."""


def test_another_store_gets_the_same_bytes(finished: Place, tmp_path: Path) -> None:
    place = Place(tmp_path)
    rows: list[EpochEnd] = []
    made: dict[str, dict[str, str]] = {}

    def draw(event: Event) -> None:
        torch.manual_seed(3)
        if isinstance(event, EpochEnd):
            rows.append(event)
        if isinstance(event, StepEnd):
            made[event.label] = {name: path.name for name, path in event.files.items()}
            if made.keys() >= set(LASTING):
                raise Enough  # what comes now measures

    with pytest.raises(Enough):
        edgekd.compress(
            small_recipe(ONE_ENGINE[1]),
            run_dir=place.run_dir,
            store=place.store,
            callbacks=[draw],
            quiet=True,
        )
    assert {label: made[label] for label in LASTING} == digests(finished, *LASTING)
    assert {row.label for row in rows} == {"teacher", "control", "distil"}
    assert [row.epoch for row in rows if row.label == "distil"] == [1, 2, 3, 4]


def test_the_student_of_a_run_and_of_its_bundle_answer_alike(finished: Place) -> None:
    from edgekd.bench import golden

    student = edgekd.load(finished.run_dir)
    groups = golden.read(finished.run_dir / "bundle" / "golden.safetensors")
    group = groups[golden.USUAL]
    (images,), (logits,) = group.inputs.values(), group.outputs.values()
    with torch.no_grad():
        answered = student(torch.from_numpy(images)).numpy()
    assert not student.training
    np.testing.assert_allclose(answered, logits, atol=1e-5)
    rows = np.concatenate(list(group.rows.values()))
    told = edgekd.predict(finished.run_dir / "bundle", rows)
    assert told[0].answers[0][0] == str(logits[0].argmax())
    assert all(check.verdict == "ok" for check in edgekd.verify(finished.run_dir / "bundle").checks)


def test_what_a_run_lacks_is_said(finished: Place, tmp_path: Path) -> None:
    with pytest.raises(edgekd.EdgekdError, match="want the folder of a finished run"):
        edgekd.load(tmp_path)
    with pytest.raises(edgekd.EdgekdError, match="a run that chose a quantized student"):
        edgekd.load(finished.run_dir / "bundle", precision="int8")
    with pytest.raises(edgekd.EdgekdError, match="precision: got 'int4'"):
        edgekd.load(finished.run_dir, precision="int4")  # type: ignore[arg-type]


def test_a_script_that_is_interrupted_goes_on(finished: Place, tmp_path: Path) -> None:
    place = Place(tmp_path)
    order = [sys.executable, "-u", "-c", SCRIPT, json.dumps(small_recipe(ONE_ENGINE[1]))]
    order += [str(place.run_dir), str(place.store)]
    with subprocess.Popen(order, stderr=subprocess.PIPE, text=True) as script:
        assert script.stderr is not None
        for line in script.stderr:
            if line.startswith("data: ended"):
                script.send_signal(signal.SIGINT)
                break
        rest = script.stderr.read()
    assert script.returncode != 0 and "KeyboardInterrupt" in rest
    events: list[Event] = []

    def stop(event: Event) -> None:
        events.append(event)
        if isinstance(event, StepEnd):
            raise Enough

    with pytest.raises(Enough):
        edgekd.compress(
            small_recipe(ONE_ENGINE[1]),
            run_dir=place.run_dir,
            store=place.store,
            callbacks=[stop],
            quiet=True,
        )
    (end,) = [event for event in events if isinstance(event, StepEnd)]
    assert end.label == "data" and end.hit


def test_exported_weights_are_loaded_as_the_run_is(finished: Place, tmp_path: Path) -> None:
    goal = tmp_path / "mine.safetensors"
    ran = command_line("export", str(finished.run_dir), "--to", "torch", "-o", str(goal))
    assert ran.code == 0, ran.stderr
    want, got = (edgekd.load(place).state_dict() for place in (finished.run_dir, goal))
    assert all(torch.equal(got[name], want[name]) for name in want)
    (tmp_path / "mine.json").unlink()
    with pytest.raises(edgekd.EdgekdError, match="mine.json beside it"):
        edgekd.load(goal)
