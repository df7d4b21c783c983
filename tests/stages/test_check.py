"""What a loss cannot do is said before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekd import dataset
from edgekd.errors import InputError
from edgekd.learn import deployment
from edgekd.learn.schemes import SCHEMES
from edgekd.progress import Progress
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import check
from tests import data_example
from tests.bench.test_scores import texts

STUDENT = {"model": {"name": "resnet8", "base": 4}, "input": None}
TEACHER = {"model": {"name": "resnet14", "base": 8}, "input": {"height": 12, "width": 12}}
GROUP = {**STUDENT, "norm": "group"}
UNTRIED = ("lwf", "lwf-mc", "less-forgetting", "on-policy")
"""They learn some of the classes after others."""
KD = ("cross-entropy", "kd")


def run(
    folder: Path,
    *losses: Any,
    classes: int = 10,
    batch_size: int = 8,
    samples: int = 30,
    plain: Any = (),
    views: Any = None,
    allow_code: bool = False,
    deployed: Any = (),
    progress: Progress | None = None,
    knowledge: Any = None,
    **more: Any,
) -> dict[str, Any]:
    images = np.random.default_rng(0).integers(0, 255, (samples, 8, 8, 1), np.uint8)
    field, names = data_example.image(8, 8, std=0.3), [str(n) for n in range(classes)]
    part = images, np.arange(samples) % classes
    given = data_example.write_data(folder, field, names, train=part)
    case = {
        "label": "distil",
        "student": STUDENT,
        "teachers": [TEACHER],
        "losses": list(losses),
        "scheme": "offline",
        "train": {"batch_size": batch_size, "epochs": 2},
        **more,
    }
    settings = {"views": views or {"count": 2}, "seed": 0, "plain": plain, "cases": [case]}
    settings["deployed"] = deployed
    if knowledge is not None:
        settings["storage"] = {"encoding": "fp32", **knowledge}
    config = check.CheckConfig.model_validate(settings)
    kept = folder / "kept"
    context = Context(
        folder=folder,
        checkpoints=kept,
        seed=0,
        progress=progress or Silent(),
        allow_code=allow_code,
    )
    made = check.run(config, given, context)
    found: dict[str, Any] = json.loads(made["plan.json"].read_bytes())
    return found


def test_each_case_is_told_as_it_is_tried(tmp_path: Path) -> None:
    class Heard(Silent):
        said: list[tuple[int, int, str]] = []

        def update(self, done: int, total: int, text: str) -> None:
            self.said.append((done, total, text))

    plain = {"label": "teacher", "learner": TEACHER, "losses": ["cross-entropy"], "batch_size": 8}
    run(tmp_path, "kd", plain=[plain], progress=Heard())
    assert Heard.said == [(0, 2, "teacher: losses"), (1, 2, "distil: one step")]


def test_the_plan_says_which_layers_are_compared(tmp_path: Path) -> None:
    (row,) = run(tmp_path, "kd", "fitnet")["distil"]
    assert (row["loss"], row["student"], row["teacher"]) == ("fitnet", "layer2", "model.layer2")
    assert row["student_shape"] == [8, 8, 4, 4] and row["companion_parameters"] > 0


def read_layers(folder: Path, form: str, *losses: Any) -> dict[str, tuple[Any, bool]]:
    folder.mkdir()
    run(folder, "kd", *losses, knowledge={"layers": form}, may_store_layers=True)
    value = json.loads((folder / "layers-distil.json").read_bytes())
    return {row["place"]: (row["shape"], row["is_pooled"]) for row in value["tapped"]}


def test_where_layers_are_to_be_stored_pooled_a_loss_that_reads_one_whole_is_refused(
    tmp_path: Path,
) -> None:
    found = {"model.layer2": ([16, 6, 6], False)}
    assert read_layers(tmp_path / "auto", "auto", "fitnet") == found
    assert read_layers(tmp_path / "whole", "whole", "fitnet") == found
    assert read_layers(tmp_path / "pooled", "pooled", "rkd") == {"model.fc:input": ([32], False)}
    with pytest.raises(InputError, match=r"got pooled, and a loss that reads 'model.layer2', \[16"):
        read_layers(tmp_path / "refused", "pooled", "rkd", "fitnet")


@pytest.mark.parametrize(
    ("loss", "more", "told"),
    [
        ("dkd", {"classes": 2}, "distil: loss dkd: got 2 classes, want at least 3"),
        ("dist", {"batch_size": 1}, "distil: loss dist: got a batch of 1"),
        ("sp", {"batch_size": 1}, "distil: loss sp: got a batch of 1"),
        (
            {"name": "fitnet", "layers": {"student": "layer7", "teacher": "fc"}},
            {},
            "no layer 'layer7' in the model; did you mean 'layer",
        ),
        (
            {"name": "attention-scores"},
            {},
            "distil: loss attention-scores",
        ),
    ],
)
def test_what_cannot_be_is_named(
    tmp_path: Path, loss: Any, more: dict[str, int], told: str
) -> None:
    with pytest.raises(InputError, match=told) as caught:
        run(tmp_path, loss, **more)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("losses", "more", "told"),
    [
        (
            KD,
            {"scheme": {"name": "tf-kd", "correct": 1.0}},
            "distil: scheme tf-kd: .*between 1/10 and 1",
        ),
        (
            KD,
            {"scheme": {"name": "supernet", "knob": "nope"}},
            "distil: resnet8: got unknown key .nope",
        ),
        (KD, {"scheme": "uskd"}, "distil: loss kd: got no teacher_logits from this scheme"),
        (KD, {"scheme": "tf-kd", "views": {"count": 2, "mixup": 0.5}}, "distil: .*mix"),
        (KD, {"only": ["nope"]}, "distil: only: got 'nope', want classes of the data"),
        (KD, {"batch_size": 31}, "train.batch_size: got 31, want at most the 30 training samples"),
        (
            KD,
            {"private": {"epsilon": 8}, "batch_size": 64, "samples": 99},
            "want student.norm: group",
        ),
        (KD, {"private": {"epsilon": 8}, "student": GROUP}, "batch_size: got 8, want 64"),
        (
            KD,
            {
                "private": {"epsilon": 8, "delta": 0.01},
                "student": GROUP,
                "batch_size": 64,
                "samples": 100,
            },
            "private.delta: got 0.01 for 100 samples",
        ),
        (
            ("cross-entropy", "dist"),
            {"private": {"epsilon": 8}, "student": GROUP, "batch_size": 64, "samples": 99},
            "loss dist compares samples",
        ),
        (KD, {"inherit": {}, "parent": {**STUDENT, "model": "mobilenetv2"}}, "distil: inherit: "),
        (({"name": "kd", "weight": 1e9, "temperature": 1e300},), {}, "distil: .*"),
        (KD, {"teachers": [TEACHER, {**STUDENT, "input": {"channels": 2}}]}, "distil: "),
        (({"name": "kd", "standardize": True},), {"classes": 2}, "want 3 or more: of two"),
    ],
)
def test_schemes_and_protection_are_tried_too(
    tmp_path: Path, losses: tuple[Any, ...], more: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told) as caught:
        run(tmp_path, *losses, **more)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"batch_size": 40}, "teacher: train.batch_size: got 40"),
        ({"only": ["7", "x"]}, "teacher: only: got 'x'"),
        ({"losses": ["dkd"]}, "teacher: loss dkd: got 2 classes"),
    ],
)
def test_trainings_on_labels_are_looked_at(tmp_path: Path, more: dict[str, Any], told: str) -> None:
    plain = {"label": "teacher", "learner": STUDENT, "losses": ["cross-entropy"], "batch_size": 8}
    with pytest.raises(InputError, match=told):
        run(tmp_path, *KD, classes=2 if "losses" in more else 10, plain=[plain | more])


@pytest.mark.parametrize("name", [n for n in SCHEMES if n not in UNTRIED])
def test_every_scheme_can_be_tried(tmp_path: Path, name: str) -> None:
    alone = ("uskd", "adversarial-training", "lwf", "lwf-mc", "less-forgetting")
    losses = KD[:1] if name in alone else KD
    student = {**STUDENT, "model": {"name": "resnet8", "base": 8}}
    found = run(tmp_path, *losses, scheme=name, student=student, teachers=[TEACHER, TEACHER])
    assert found["distil"] == []


OWN = {"model": "python:tests.odd_models_example:Auxiliary", "input": None}


def test_auxiliary_logits_are_dropped_or_trained_on_by_a_word(tmp_path: Path) -> None:
    auxiliary = {"train": {"batch_size": 8, "epochs": 2, "auxiliary": 0.3}}
    run(tmp_path, *KD, student=OWN, allow_code=True)
    run(tmp_path, *KD, student=OWN, allow_code=True, **auxiliary)
    with pytest.raises(InputError, match="distil: train.auxiliary: got it for a network"):
        run(tmp_path, *KD, **auxiliary)
    plain = {"label": "control", "losses": ["cross-entropy"], "batch_size": 8, "auxiliary": True}
    run(tmp_path, *KD, allow_code=True, plain=[{**plain, "learner": OWN}])
    with pytest.raises(InputError, match="student: train.auxiliary: got it for a network"):
        run(tmp_path, *KD, plain=[{**plain, "learner": STUDENT}])


def test_what_is_deployed_is_traced_and_exported_first(tmp_path: Path) -> None:
    one = {"label": "student", "network": STUDENT, "opset": 18}
    numbers = {"profiles": ["x86"], "float_layers": ["no.such"]}
    with pytest.raises(InputError, match="student: resnet8: .*'no.such', which is no layer"):
        run(tmp_path, *KD, deployed=[one | {"numbers": numbers}])
    assert run(tmp_path, *KD, deployed=[one]) == {"distil": []}


def test_what_is_deployed_is_tried_on_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    monkeypatch.setattr(
        deployment, "require_deployable", lambda *_, **__: threads.append(torch.get_num_threads())
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run(tmp_path, *KD, deployed=[{"label": "student", "network": STUDENT, "opset": 18}])
        assert threads == [1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_loss_of_the_users_own_is_tried_on_what_it_will_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss that takes class indices alone, where views mix samples: of made-up labels it has a value."""
    source = "def f(student_logits, labels):\n    return student_logits.gather(1, labels[:, None]).mean()\n"
    (tmp_path / "own_of_check.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    plain = {"label": "control", "learner": STUDENT, "losses": ["python:own_of_check:f"]}
    more: dict[str, Any] = {"plain": [{**plain, "batch_size": 8}], "allow_code": True}
    run(tmp_path, *KD, **more)
    with pytest.raises(InputError, match="^student: loss python:own_of_check:f: raised "):
        run(tmp_path, *KD, **more, views={"count": 2, "mixup": 0.5})


def test_sizes_that_no_sample_has_are_named_before_anything_is_tried(tmp_path: Path) -> None:
    data = dataset.to_json(texts(tmp_path)[1])
    (tmp_path / "data.json").write_text(json.dumps(data))
    context = Context(folder=tmp_path, checkpoints=tmp_path, seed=0, progress=Silent())
    words: dict[str, Any] = {"views": {"count": 1}, "seed": 0, "plain": (), "cases": ()}

    def run_sized(**sizes: tuple[int, ...]) -> None:
        config = check.CheckConfig.model_validate({**words, "sizes": sizes})
        check.run(config, {"data": tmp_path / "data.json"}, context)

    run_sized(text_length=(1, 9))
    with pytest.raises(InputError, match="^measure.sizes.text_length.1: got 10, want 1 to 9, "):
        run_sized(text_length=(1, 10))
    with pytest.raises(
        InputError,
        match="^measure.sizes.length: got 'length', want a free axis of the data; .*'text_length'",
    ):
        run_sized(length=(1,))
