"""Plans: every input comes from an earlier step; what cannot run is refused at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekd import plan
from edgekd import recipe as recipes
from edgekd.bench.machine import site
from edgekd.device import Device
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.plan import checks
from edgekd.plan import learning
from edgekd.run import Options
from edgekd.stage import Step

ROOT = Path(__file__).parent.parent.parent
TWO = ROOT / "pipelines" / "quickstart.yaml"
SECOND = "learn=[{step: distil, losses: [kd]}, {step: distil, knowledge: online, losses: [kd]}]"


def planned(tmp_path: Path, *overrides: str, **options: Any) -> tuple[Step, ...]:
    recipe = recipes.load(TWO, overrides)
    return plan.steps(
        recipe, TWO.parent, Options(run_dir=tmp_path / "run", store=tmp_path / "store", **options)
    )


@pytest.mark.parametrize("overrides", [(), (SECOND,), ("learn.0.knowledge=online",)])
def test_inputs_come_from_earlier_steps(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    steps = planned(tmp_path, *overrides)
    labels = [step.label for step in steps]
    assert len(set(labels)) == len(labels)
    for number, step in enumerate(steps):
        assert {label for label, _ in step.takes.values()} <= set(labels[:number]), step.label


def test_the_second_step_goes_on_from_the_first(tmp_path: Path) -> None:
    steps = {step.label: step for step in planned(tmp_path, SECOND)}
    assert steps["distil-2"].takes["start_weights"] == ("distil-1", "weights.safetensors")
    assert "knowledge" not in steps["distil-2"].takes
    assert steps["distil-2"].takes["teacher_weights"][0] == "teacher"
    assert steps["export-student"].takes["weights"][0] == "distil-2"


def test_online_knowledge_is_not_stored(tmp_path: Path) -> None:
    labels = [step.label for step in planned(tmp_path, "learn.0.knowledge=online")]
    assert "knowledge" not in labels


def test_a_student_and_its_control_share_seed_and_views(tmp_path: Path) -> None:
    steps = {step.label: step for step in planned(tmp_path, "student_seed=7", "seed=3")}
    control, student = steps["control"], steps["distil"]
    assert control.seed == student.seed == 7
    assert steps["teacher"].seed == 3
    for name in ("views", "views_seed", "model", "train"):
        assert getattr(control.settings, name) == getattr(student.settings, name)


def test_a_teacher_may_have_views_of_its_own(tmp_path: Path) -> None:
    steps = {s.label: s for s in planned(tmp_path, "teacher.views={count: 3, erase: 0.5}")}
    assert steps["teacher"].settings.views.count == 3  # type: ignore[attr-defined]
    assert steps["knowledge"].settings.views.count == 8  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", ["data.source", "teacher.model", "student.model"])
def test_code_needs_leave(tmp_path: Path, key: str) -> None:
    with pytest.raises(InputError, match=f"{key}.*leave to run it"):
        planned(tmp_path, f"{key}=python:some.module:function")


def test_a_user_s_own_model_file_is_in_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "plan_own_model.py"
    module.write_text("def f(): ...")
    monkeypatch.syspath_prepend(str(tmp_path))
    steps = planned(tmp_path, "student.model=python:plan_own_model:f", allow_code=True)
    control = next(step for step in steps if step.label == "control")
    assert control.origin is not None
    before = control.origin()
    module.write_text("def f(): return 1")
    assert control.origin() != before


def test_what_is_not_installed_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = Options(run_dir=tmp_path, store=tmp_path)
    monkeypatch.setattr(checks, "package_version", lambda name: None if name == "torch" else "1")
    with pytest.raises(MachineError, match="torch") as caught:
        checks.want_installed(recipes.load(TWO), options)
    assert caught.value.hint == "pip install 'edgekd[learn]'"


def test_a_device_without_the_engine_is_named_with_what_sets_it_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    board = Device("board", lambda order: pytest.fail("asked twice"))
    missing = {"onnxruntime": None, "openvino": "openvino is not installed"}
    told = site.describe()._replace(name="board", missing=missing)
    monkeypatch.setattr(site, "describe", lambda device: told)
    options = Options(run_dir=tmp_path, store=tmp_path, device=board)
    with pytest.raises(MachineError, match="device board: has no openvino") as caught:
        checks.want_installed(recipes.load(TWO), options)
    assert caught.value.hint == "edgekd device setup board"


def test_threads_are_the_recipe_s_or_all_there_are() -> None:
    train = recipes.load(TWO, ["student.train.threads=3"]).student.train
    assert learning.threads(train) == 3
    assert learning.threads(train.model_copy(update={"threads": None})) >= 1
