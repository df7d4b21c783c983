from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd import splits
from edgekd.bench import answer_jobs
from edgekd.bench.outputs import write_inputs
from edgekd.runtime import EngineInput
from tests import data_example


class Session:
    """Gives its inputs back, each under another name."""

    def __init__(self, *inputs: EngineInput) -> None:
        self.inputs = inputs
        self.output_names = tuple(f"{tensor.name}-again" for tensor in inputs)
        self.fed: list[int] = []

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        assert list(feeds) == [tensor.name for tensor in self.inputs]
        self.fed.append(len(next(iter(feeds.values()))))
        return list(feeds.values())


def asked(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    session: Any,
    stored: Mapping[str, Any],
    **more: Any,
) -> tuple[dict[str, Any], dict[str, np.ndarray], int]:
    """What the job says, what it leaves, and the batch it loads the model for."""
    path, batches = write_inputs(stored, folder / "rows"), list[int]()

    def load(spec: Mapping[str, Any], say: Any) -> Any:
        batches.append(spec["batch"])
        return session

    monkeypatch.setattr(answer_jobs, "load_session", load)
    total = len(next(iter(stored.values())))
    spec = {"inputs": path, "goal": folder / "goal", "fields": None, "rows": [0, total], **more}
    told = answer_jobs.compute_outputs(spec, lambda phase: None, 0)
    left = {name: np.asarray(each) for name, each in splits.read(folder / "goal").items()}
    return told, left, batches[0]


@pytest.mark.parametrize(("batch", "want"), [(10, 6), (256, 11)])
def test_batches_are_alike_so_that_hardly_a_row_is_filled_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int, want: int
) -> None:
    """A model compiled for its batch is asked for whole batches: of 11 rows by 10 at most, 6 and 5."""
    rows = np.random.default_rng(0).random((11, 4), np.float32)
    session = Session(EngineInput("x", "float32", (6, 4)))
    told, left, loaded = asked(monkeypatch, tmp_path, session, {"x": rows}, batch=batch)
    assert told == {"shapes": {"x-again": [11, 4]}} and loaded == want
    assert session.fed == [6, 6]  # the last one is filled up
    np.testing.assert_array_equal(left["x-again"], rows)


def test_every_input_has_its_rows_and_every_output_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(EngineInput("b", "int64", (None, 2)), EngineInput("a", "float32", (None, 1)))
    rows = {"a": np.arange(7, dtype=np.float32)[:, None], "b": np.arange(14).reshape(7, 2)}
    told, left, _ = asked(monkeypatch, tmp_path, session, rows, batch=3)
    assert told == {"shapes": {"b-again": [7, 2], "a-again": [7, 1]}} and session.fed == [3, 3, 1]
    assert {name: each.dtype for name, each in left.items()} == dict.fromkeys(left, np.float32)
    for name in "ab":
        np.testing.assert_array_equal(left[f"{name}-again"], rows[name])


def test_only_the_rows_that_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(10, dtype=np.float32)[:, None]
    session = Session(EngineInput("x", "float32", (None, 1)))
    told, left, _ = asked(monkeypatch, tmp_path, session, {"x": rows}, batch=2, rows=[3, 8])
    assert told == {"shapes": {"x-again": [5, 1]}} and sum(session.fed) == 5
    np.testing.assert_array_equal(left["x-again"], rows[3:8])


def test_fields_make_inputs_of_their_own_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One input takes them whatever it is called; labels are nobody's input."""
    field = data_example.image(2, 3, mean=0.25, std=0.5)
    images = np.random.default_rng(0).integers(0, 256, (5, 2, 3, 1), dtype=np.uint8)
    session = Session(EngineInput("x", "float32", (None, 1, 2, 3)))
    rows = {"images": images, "labels": np.arange(5)}
    fields = {"images": field.to_json()}
    _, left, _ = asked(monkeypatch, tmp_path, session, rows, batch=2, fields=fields)
    want = ((images / 255 - 0.25) / 0.5).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(left["x-again"], want, atol=1e-6)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({"a": np.zeros((3, 2), np.float32)}, "inputs: got a, want x, y"),
        (
            {"x": np.zeros((3, 2), np.float32), "z": np.zeros(3)},
            "inputs: got [xz], [xz], want x, y",
        ),
        (
            {"x": np.zeros((3, 2), np.float32), "y": np.zeros((3, 1), np.float32)},
            r"y: got float32 \[2, 1\], want int64 \['N', 1\]",
        ),
    ],
)
def test_rows_that_are_not_what_the_model_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: dict[str, np.ndarray], says: str
) -> None:
    session = Session(EngineInput("x", "float32", (None, 2)), EngineInput("y", "int64", (None, 1)))
    with pytest.raises(ValueError, match=says):
        asked(monkeypatch, tmp_path, session, rows, batch=2)


@pytest.mark.parametrize("answer", [np.zeros(()), np.zeros((2, 4))])
def test_an_answer_has_a_row_for_each_of_its_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: np.ndarray
) -> None:
    session = Session(EngineInput("x", "float32", (None, 1)))
    monkeypatch.setattr(session, "run", lambda feeds: [answer])
    with pytest.raises(ValueError, match="output x-again: got .* for 3 rows"):
        asked(monkeypatch, tmp_path, session, {"x": np.zeros((3, 1), np.float32)}, batch=3)
