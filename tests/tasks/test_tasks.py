"""The table of tasks: every member is one, a user's own needs leave."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgekd import dataset
from edgekd import task
from edgekd.dataset import Dataset
from edgekd.errors import InputError
from edgekd.fields.label import Label
from edgekd.fields.number import Number
from edgekd.learn.chance import compute_standing
from edgekd.task_check import require_runs
from edgekd.task_check import require_sound
from edgekd.tasks import BUILT_IN
from edgekd.tasks import DEFAULT_TASK
from edgekd.tasks import load_task
from edgekd.tasks import task_table


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_member_is_a_sound_task(name: str) -> None:
    require_sound(load_task(name))
    assert load_task(name).losses and name in task_table()
    assert task_table()[name].summary


def test_a_board_loads_a_task_without_pydantic() -> None:
    code = (
        "import sys; from edgekd.tasks import BUILT_IN, load_task; [load_task(n) for n in BUILT_IN]; "
        "sys.exit('pydantic' in sys.modules or 'torch' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_users_unsound_task_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from edgekd.tasks.classification import TASK\nTASK = TASK._replace(metrics=())\n"
    (tmp_path / "unsound_task_of_mine.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(InputError, match=r"TASK: metrics: got '\(\)', want some"):
        load_task("python:unsound_task_of_mine:TASK", allow_code=True)


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError) as raised:
        load_task("clasification")
    assert "classification" in raised.value.hint


def test_a_users_own_runs_only_when_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from edgekd.tasks.classification import TASK\nOTHER = 3\n"
    (tmp_path / "own_task_of_mine.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(InputError, match="want that allowed"):
        load_task("python:own_task_of_mine:TASK")
    assert load_task("python:own_task_of_mine:TASK", allow_code=True).losses == ("cross-entropy",)
    with pytest.raises(InputError, match=r"got int, want an edgekd\.task\.Task"):
        load_task("python:own_task_of_mine:OTHER", allow_code=True)
    with pytest.raises(InputError, match="got nothing of that name"):
        load_task("python:own_task_of_mine:THIRD", allow_code=True)


OWN = """
\"\"\"Which of two sums is larger, and by how much.\"\"\"

import numpy as np

from edgekd.interface import Tensor
from edgekd.task import Metric
from edgekd.task import Task
from edgekd.task import ratio


def both(outputs, targets, dataset):
    side = outputs["sides"].argmax(1) == targets["side"]
    near = np.abs(outputs["gaps"] - targets["gap"]).max(1) < 0.5
    return np.stack([side & near, np.ones(len(side))], 1)


def decide(outputs, dataset):
    return {"side": outputs["sides"].argmax(1), "gap": outputs["gaps"][:, 0]}


def agree(one, other):
    return (one["side"] == other["side"]) * 1.0


def guess(targets, dataset):
    count = len(targets["side"])
    return {"sides": np.ones((count, 2)), "gaps": np.tile(targets["gap"].mean(0), (count, 1))}


def describe(decisions, dataset, count):
    names = dataset.targets["side"].to_json()["names"]
    return [[(f"{names[s]} by {g:.1f}", None)] for s, g in zip(decisions["side"], decisions["gap"])]


TASK = Task(
    targets={"side": "class", "gap": "number"},
    outputs=(
        Tensor("sides", "float32", ("batch", "classes"), "logits", class_axis=1, target="side"),
        Tensor("gaps", "float32", ("batch", "numbers"), target="gap"),
    ),
    losses=(),
    metrics=(Metric("both right", "fraction", "higher", both, ratio),),
    decide=decide,
    agree=agree,
    guess=guess,
    describe=describe,
)
"""


def sums(count: int) -> tuple[Dataset, dict[str, np.ndarray]]:
    """Two inputs of numbers; which has the larger sum, and by how much."""
    generator = np.random.default_rng(0)
    left, right = generator.normal(size=(2, count, 3)).astype(np.float32)
    gap = (left.sum(1) - right.sum(1))[:, None]
    rows = {"left": left, "right": right, "side": (gap[:, 0] < 0).astype(np.int64), "gap": gap}
    order = np.arange(count)
    data = Dataset(
        task="python:my_sums_task:TASK",
        inputs={name: Number.describe(rows[name], order) for name in ("left", "right")},
        targets={
            "side": Label(names=("left", "right")),
            "gap": Number.describe(gap, order, columns=("gap",), mean=(0.0,), std=(1.0,)),
        },
    )
    return data, rows


def test_a_task_is_one_file_whatever_it_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "my_sums_task.py").write_text(OWN)
    assert [path.name for path in tmp_path.iterdir()] == ["my_sums_task.py"]
    own = load_task("python:my_sums_task:TASK", allow_code=True)
    data, rows = sums(50)
    assert dataset.from_json(json.loads(json.dumps(dataset.to_json(data)))) == data
    data.check(rows, "train")
    ends = task.interface_of(own, data)
    assert [tensor.name for tensor in ends.inputs] == ["left", "right"]
    assert [output.shape for output in ends.outputs] == [("batch", 2), ("batch", 1)]
    targets = data.prepare_targets(rows)
    require_runs(own, targets, data)
    perfect = {"sides": np.eye(2)[targets["side"]], "gaps": targets["gap"]}
    assert task.compute_score(own, perfect, targets, data) == 1
    assert compute_standing(own, perfect, targets, data).skill == 1
    assert compute_standing(own, own.guess(targets, data), targets, data).skill == 0
    assert task.agree_samples(own, perfect, perfect, data).mean() == 1
    lines = own.describe(own.decide(perfect, data), data, 1)
    assert (
        lines[0][0][0] == f"{'left' if rows['gap'][0] > 0 else 'right'} by {rows['gap'][0, 0]:.1f}"
    )


def texts(path: Path) -> set[str]:
    """What a file holds in quotation marks; that none imports a task, `tests/test_words.py` sees."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


@pytest.mark.parametrize("name", [name for name in BUILT_IN if name != DEFAULT_TASK])
def test_a_built_in_task_is_one_file_and_its_entry_in_the_table(name: str) -> None:
    package = Path(dataset.__file__).parent
    stem = BUILT_IN[name].module.rpartition(".")[2]
    touched = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if name in texts(path)
    } - {"learn/data/mask_layout.py"}  # people call a folder of masks so
    assert touched == {"tasks/__init__.py"} and (package / "tasks" / f"{stem}.py").is_file()
