"""What a loss or a scheme cannot serve is said by the task's ends alone, in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgekd.interface import Tensor
from edgekd.learn.losses import FAMILIES
from edgekd.learn.losses import LOSSES
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.synthesis import SYNTHESIZERS
from edgekd.learn.task_fit import CLASSIFIER
from edgekd.learn.task_fit import TaskEnds
from edgekd.learn.task_fit import find_loss_misfit
from edgekd.learn.task_fit import find_scheme_misfit
from edgekd.learn.task_fit import read_ends
from edgekd.tasks import BUILT_IN
from edgekd.tasks import load_task

MAP = Tensor("logits", "float32", ("batch", "classes", "height", "width"), "logits", 0, 1, "maps")
TAGS = Tensor("logits", "float32", ("batch", "classes"), "logits", target="labels")
VALUES = Tensor("values", "float32", ("batch", "numbers"), target="numbers")
SCORES = Tensor("scores", "float32", ("batch", 9, 4), "logits", 0, 2, "kinds")
BOXES = Tensor("boxes", "float32", ("batch", 9, 4), target="boxes")
DENSE = TaskEnds((MAP,), ("maps",), ("image",))
MULTI = TaskEnds((TAGS,), ("labels",))
NUMBERS = TaskEnds((VALUES,), ("numbers",), ("number",))
DETECTOR = TaskEnds((SCORES, BOXES), ("kinds", "boxes"), ("image",))
TEXTS = CLASSIFIER._replace(inputs=("tokens",))


def fits(name: str, ends: TaskEnds) -> bool:
    said = find_loss_misfit(name, LOSSES[name], ends)
    assert "\n" not in said and said.startswith(f"got {name!r}") == bool(said)
    return not said


def test_a_classifier_takes_all_but_what_other_targets_teach() -> None:
    refused = {name for name in LOSSES if not fits(name, CLASSIFIER)}
    assert refused == {"binary-cross-entropy", "binary-kd", *FAMILIES["values"]}
    misfits = {name for name in SCHEMES if find_scheme_misfit(name, SCHEMES[name], CLASSIFIER)}
    assert misfits == {"on-policy"}


def test_dense_logits_take_every_loss_that_needs_no_whole_sample() -> None:
    refused = {name for name in LOSSES if not fits(name, DENSE)}
    whole = {"mlkd", "irg", "skd-direction", "maskd"}
    assert refused == {"binary-cross-entropy", "binary-kd", *FAMILIES["values"], *whole}
    assert find_loss_misfit("irg", LOSSES["irg"], DENSE) == (
        "got 'irg', which compares whole samples; 'logits' has many rows a sample"
    )


def test_classes_that_do_not_compete_take_losses_of_each() -> None:
    fitting = {name for name in LOSSES if fits(name, MULTI)}
    logits = {"binary-cross-entropy", "binary-kd", "logit-mse"}
    assert logits <= fitting and not fitting & {"kd", "cross-entropy", "dkd", "forward-kl"}
    assert "of which one is right" in find_loss_misfit("kd", LOSSES["kd"], MULTI)


def test_numbers_take_losses_on_values_and_on_layers() -> None:
    fitting = {name for name in LOSSES if fits(name, NUMBERS)}
    assert (
        set(FAMILIES["values"]) - {"pair-contrast", "margin-mse", "score-kl"} <= fitting
        and {"fitnet", "rkd"} <= fitting
    )
    assert "takes 'pairs', want a signal" in find_loss_misfit(
        "pair-contrast", LOSSES["pair-contrast"], NUMBERS
    )
    assert "kd" not in fitting
    want = "got 'kd': it compares logits, and the model gives values (values)"
    assert find_loss_misfit("kd", LOSSES["kd"], NUMBERS) == want


def test_of_several_outputs_the_only_one_of_a_kind_serves() -> None:
    assert fits("kd", DETECTOR) and fits("value-mse", DETECTOR) and fits("smooth-l1", DETECTOR)
    twice = DETECTOR._replace(outputs=(SCORES, MAP, BOXES))
    said = find_loss_misfit("kd", LOSSES["kd"], twice)
    assert said == "got 'kd': output: got none, want one of its logits: scores, logits"
    assert not find_loss_misfit("kd", LOSSES["kd"], twice, "scores")
    said = find_loss_misfit("kd", LOSSES["kd"], twice, "boxes")
    assert said == "got 'kd': output: got 'boxes', want one of its logits: scores, logits"


def test_without_a_target_no_labels_teach() -> None:
    bare = TaskEnds((MAP._replace(target=""),), ())
    assert fits("kd", bare)
    said = find_loss_misfit("cross-entropy", LOSSES["cross-entropy"], bare)
    assert said == "got 'cross-entropy', which compares with labels; 'logits' has no target"


# what a file gives is not known before it is read
@pytest.mark.parametrize("name", [n for n, each in BUILT_IN.items() if not each.from_answers])
def test_every_task_s_own_losses_fit_it(name: str) -> None:
    task = load_task(name)
    ends = TaskEnds(task.outputs, tuple(task.targets))
    for loss in task.losses:
        assert find_loss_misfit(loss, LOSSES[loss], ends) == ""


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_the_ends_of_a_task_are_read_from_its_text(name: str) -> None:
    task = load_task(name)
    metrics = tuple(metric.scale for metric in task.metrics)
    want = TaskEnds(task.outputs, tuple(task.targets), metrics=metrics)
    assert read_ends(name) == want


def test_a_task_of_one_s_own_is_read_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_task.py").write_text(
        "raise SystemExit('ran')\n"
        "MINE = Task(targets={'boxes': 'boxes'}, outputs=(Tensor('boxes', 'float32', (interface.BATCH, 4),"
        " target='boxes'),))\n"
        "MADE = make_task()\n"
        "COMPUTED = Task(targets={'boxes': 'boxes'}, outputs=(Tensor('boxes', 'float32', SHAPE),))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    box = Tensor("boxes", "float32", ("batch", 4), target="boxes")
    assert read_ends("python:own_task:MINE") == TaskEnds((box,), ("boxes",))
    for name in ("own_task:MADE", "own_task:COMPUTED", "own_task:ABSENT", "own_absent:TASK", "x"):
        assert read_ends(f"python:{name}") is None


def test_schemes_for_images_alone_are_refused_for_texts() -> None:
    refused = {name for name in SCHEMES if find_scheme_misfit(name, SCHEMES[name], TEXTS)}
    assert {"sskd", "ard", "rslad", "dafl", "zskt", "lwf"} <= refused
    assert not refused & {"offline", "dml", "ema", "tf-kd", "byot", "cs-kd"}
    want = "got 'ard', which takes image alone, and this task's data have tokens"
    assert find_scheme_misfit("ard", SCHEMES["ard"], TEXTS) == want
    for name, member in SYNTHESIZERS.items():
        assert find_scheme_misfit(name, member, TEXTS)


def test_schemes_that_need_one_class_a_sample_are_refused_elsewhere() -> None:
    for ends in (DENSE, MULTI, NUMBERS, DETECTOR):
        fitting = {name for name in SCHEMES if not find_scheme_misfit(name, SCHEMES[name], ends)}
        assert fitting == {"offline", "densely-guided", "route"}
    said = find_scheme_misfit("cs-kd", SCHEMES["cs-kd"], DENSE)
    assert said == (
        "got 'cs-kd', which is for one class a sample, and this task's models give "
        "logits [batch, classes, height, width]"
    )


def test_the_check_costs_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, edgekd.recipe.agreement as a\n"
        "from edgekd.learn.task_fit import read_ends\n"
        "assert a.find_misfit((), {}, read_ends('segmentation')) is None\n"
        "sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
