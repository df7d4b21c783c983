"""What a user's own task and an installed engine do on a board behind a real sshd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgekd import splits
from edgekd.bench import build
from edgekd.bench import scores
from edgekd.bench.engine import Engine
from edgekd.bench.machine import host
from edgekd.dataset import Dataset
from edgekd.device import Device
from edgekd.tasks.classification import TASK
from tests import engine_example
from tests import plugin_example
from tests import text_example
from tests.bench.test_scores import engine
from tests.bench.test_scores import same
from tests.bench.test_scores import texts
from tests.devices.sshd import Board
from tests.devices.sshd import needs_sshd

pytestmark = needs_sshd


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    with Board(tmp_path_factory.mktemp("board")) as board:
        board.count_starts()
        yield board


@pytest.fixture
def device(board: Board) -> Iterator[Device]:
    remote = board.remote()
    yield Device("board", remote.run)
    remote.close()


def test_an_own_task_is_judged_here_from_the_boards_answers(
    board: Board, device: Device, tmp_path: Path
) -> None:
    """Texts of several lengths; the board has neither the task's code nor pydantic."""
    made = engine(tmp_path / "e", "onnxruntime", text_example.write_onnx(tmp_path / "m"))
    split, data = texts(tmp_path, 5)
    want = scores.score_engine(made, split, data, TASK)
    same(scores.score_engine(made, split, data, TASK, device=device), want)
    before = board.starts
    own = Dataset(task="python:mine:TASK", inputs=data.inputs, targets=data.targets)
    same(scores.score_engine(made, split, own, TASK, device=device), want)
    lengths = splits.read(split)["text"].lengths  # type: ignore[union-attr]
    assert board.starts - before == len(np.unique(lengths)) > 1


def test_an_installed_engine_runs_where_it_is_installed(
    board: Board, device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for site in engine_example.entered(tmp_path, monkeypatch):
        missing = host.describe_plugin_engine("unfused", device).why_not
        assert missing is not None and missing.startswith("unfused is not installed: ")
        (there,) = (board.folder / "python").glob("lib/python3*/site-packages")
        (there / "unfused_engine.py").write_text((site / "unfused_engine.py").read_text())
        plugin_example.install(there, engine_example.POINTS, "unfused-engine", "0.4")
        host.describe_plugin_engine.cache_clear()
        found = host.describe_plugin_engine("unfused", device)
        assert found.why_not is None and str(found.version).endswith("(unfused-engine 0.4)")
        model = text_example.write_onnx(tmp_path / "m")
        (tmp_path / "goal").mkdir()
        built = build.build_engine(
            model, "unfused", "fp32", tmp_path / "goal", timeout_s=60, device=device
        )
        assert built["version"] == found.version
        made = Engine("unfused", "fp32", 1, {n: tmp_path / "goal" / n for n in built["files"]})
        split, data = texts(tmp_path, 3)
        usual = engine(tmp_path / "e", "onnxruntime", model)
        same(
            scores.score_engine(made, split, data, TASK, device=device),
            scores.score_engine(usual, split, data, TASK),
        )
