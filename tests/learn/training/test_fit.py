"""The training loop: what is learned does not depend on kills, workers or the teacher's storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.fields.image import Image
from edgekd.learn.data.loader import Samples
from edgekd.learn.losses import LOSSES
from edgekd.learn.method import teacher as finished
from edgekd.learn.method.loss import BoundTerm
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.schemes.labels_only import learn_from_labels
from edgekd.learn.schemes.offline import offline
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Term
from edgekd.learn.settings import Training
from edgekd.learn.training import checkpoint
from edgekd.learn.training.fit import TrainingDiverged
from edgekd.learn.training.fit import fit
from edgekd.learn.training.optimizer import build_optimizer
from edgekd.learn.training.run import TrainingRun
from edgekd.learn.view_settings import Views
from edgekd.named_member import NamedMember
from edgekd.progress import EpochEnd
from edgekd.progress import Event
from edgekd.progress import Silent
from tests import data_example

KD = (
    Term(loss=NamedMember.parse("cross-entropy", LOSSES, "loss"), weight=0.1),
    Term(loss=NamedMember.parse("kd", LOSSES, "loss"), weight=0.9),
)


def net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Flatten(),
        nn.Linear(100, 3),
    )


def samples() -> Samples:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 96)
    images = random.integers(0, 120, (96, 5, 5, 1), dtype=np.uint8)
    images[np.arange(96), labels, 2] = 250
    return data_example.samples(
        images=images,
        labels=labels,
        classes=3,
        image=Image(height=5, width=5, channels=1, mean=(0.3,), std=(0.2,)),
        views=Views(count=4, flip=True),
        seed=0,
    )


class Killed(Exception):
    """Stands for a kill."""


class KillAt(Silent):
    """Raises at the n-th step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def update(self, done: int, total: int, text: str) -> None:
        if done == self.step:
            raise Killed


def run(folder: Path, **changes: Any) -> TrainingRun:
    training = {
        "epochs": 4,
        "batch_size": 16,
        "learning_rate": 0.05,
        "checkpoint_every_s": 0,
        "precision": "fp32",
    } | changes.pop("training", {})
    values: dict[str, Any] = {
        "model": net(),
        "samples": samples(),
        "terms": bind_terms(data_example.LABELS_ALONE),
        "scheme": learn_from_labels(),
        "training": Training(**training),
        "resolved": Arithmetic(precision="fp32", channels_last=False, threads=1),
        "seed": 5,
        "checkpoints": folder,
        "progress": Silent(),
        "score": lambda model: 0.5,
    }
    return TrainingRun(**(values | changes))


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


SETTINGS = {
    "sgd": {},
    "adamw+ema": {"optimizer": "adamw", "learning_rate": 0.01, "ema_decay": 0.9},
    "clip+cosine+best": {"clip_norm": 0.5, "schedule": "cosine", "keep": "best"},
}


@pytest.mark.parametrize("training", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("step", [1, 7, 13, 24])
def test_a_killed_run_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, training: dict[str, Any], step: int
) -> None:
    monkeypatch.setattr(
        "edgekd.learn.training.monitor.StepMonitor.show",
        lambda self, state: self.run.progress.update(state.step, self.total_steps, ""),
    )
    whole = run(tmp_path / "whole", training=training)
    rows = fit(whole)
    struck = run(tmp_path / "struck", training=training, progress=KillAt(step))
    with pytest.raises(Killed):
        fit(struck)
    resumed = run(tmp_path / "struck", training=training, model=net(seed=99))
    if step <= 6:
        resumed.model = net()
    assert fit(resumed) == rows
    assert_same(weights(whole.model), weights(resumed.model))


def test_a_checkpoint_in_mid_epoch_is_as_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path / "whole")
    rows = fit(whole)
    monkeypatch.setattr("edgekd.learn.training.fit._Loop.checkpoint_due", lambda self: True)
    monkeypatch.setattr(
        "edgekd.learn.training.monitor.StepMonitor.show",
        lambda self, state: self.run.progress.update(state.step, self.total_steps, ""),
    )
    with pytest.raises(Killed):
        fit(run(tmp_path / "struck", progress=KillAt(9)))
    resumed = run(tmp_path / "struck", model=net(seed=99))
    assert fit(resumed) == rows
    assert_same(weights(whole.model), weights(resumed.model))


def test_a_spoilt_checkpoint_is_passed_over(tmp_path: Path) -> None:
    whole = run(tmp_path)
    rows = fit(whole)
    newest = sorted(tmp_path.iterdir())[-1]
    data = bytearray(newest.read_bytes())
    data[-3] ^= 1
    newest.write_bytes(bytes(data))
    again = run(tmp_path, model=net(seed=99))
    assert fit(again) == rows
    assert_same(weights(whole.model), weights(again.model))


def test_callbacks_get_the_row_of_every_epoch_and_change_no_byte(tmp_path: Path) -> None:
    events: list[EpochEnd] = []

    class Drawing(Silent):
        def event(self, event: Event) -> None:
            assert isinstance(event, EpochEnd)
            events.append(event)
            torch.manual_seed(1)
            torch.rand(3)
            torch.set_num_threads(2)

    alone, watched = run(tmp_path / "alone"), run(tmp_path / "watched", progress=Drawing())
    rows = fit(alone)
    assert fit(watched) == rows
    assert_same(weights(alone.model), weights(watched.model))
    assert [event.values for event in events] == rows
    assert [(event.epoch, event.epochs) for event in events] == [
        (number, len(rows)) for number in range(1, len(rows) + 1)
    ]


def test_workers_do_not_change_what_is_learned(tmp_path: Path) -> None:
    one, other = (run(tmp_path / str(workers), training={"workers": workers}) for workers in (0, 2))
    assert fit(one) == fit(other)
    assert_same(weights(one.model), weights(other.model))


@pytest.mark.trains
def test_stored_and_live_teacher_teach_the_same_and_stay_as_they_were(tmp_path: Path) -> None:
    from edgekd.learn import teacher_answers

    teacher, data = net(seed=7), samples()
    before = weights(teacher)
    teacher_answers.write_knowledge(
        teacher,
        data,
        tmp_path / "k.npy",
        Arithmetic(precision="fp32", channels_last=False, threads=1),
        Silent(),
    )
    knowledge = np.load(tmp_path / "k.npy", mmap_mode="r", allow_pickle=False)
    assert knowledge.shape == (4, 96, 3)
    terms = bind_terms(KD)
    stored = run(tmp_path / "s", terms=terms, scheme=offline(finished.read_teacher(knowledge)))
    live = run(tmp_path / "l", terms=terms, scheme=offline(finished.run_teacher(teacher, None)))
    rows = fit(stored)
    for mine, other in zip(rows, fit(live), strict=True):
        assert mine == pytest.approx(other, rel=1e-5)
    assert rows[-1]["kd"] < rows[0]["kd"]
    assert_same(before, weights(teacher))


def test_a_loss_without_its_signal_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="kd.*teacher_logits"):
        fit(run(tmp_path, terms=bind_terms(KD)))


def spoilt(at: int, times: int) -> Scheme:
    """The student's logits are NaN at some calls."""
    calls = []

    def lessons(student: nn.Module, seen: TensorBatch) -> list[Lesson]:
        calls.append(1)
        z = student(*seen.inputs)
        bad = at <= len(calls) < at + times
        return [
            Lesson(
                {"student_logits": z * float("nan") if bad else z, "labels": seen.targets["labels"]}
            )
        ]

    return Scheme(lessons, nn.ModuleDict())


def test_nan_names_term_and_step_and_stops(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match=r"step 8 \(epoch 2\): loss cross-entropy is nan"):
        fit(run(tmp_path, scheme=spoilt(9, 1)))


def test_nan_rolls_back_when_asked_but_not_for_ever(tmp_path: Path) -> None:
    asked = {"on_nan": "rollback"}
    survivor = run(tmp_path / "a", scheme=spoilt(9, 1), training=asked)
    assert len(fit(survivor)) == 4
    assert all(bool(t.isfinite().all()) for t in weights(survivor.model).values())
    with pytest.raises(TrainingDiverged, match="after 3 rollbacks"):
        fit(run(tmp_path / "b", scheme=spoilt(9, 10**6), training=asked))


def test_early_stop_and_best_weights(tmp_path: Path) -> None:
    scores = iter([0.5, 0.9, 0.8, 0.7, 0.6])
    kept: list[dict[str, Tensor]] = []

    def score(model: nn.Module) -> float:
        kept.append(weights(model))
        return next(scores)

    stopped = run(
        tmp_path, score=score, training={"epochs": 9, "early_stop_epochs": 2, "keep": "best"}
    )
    assert len(fit(stopped)) == 4
    assert_same(weights(stopped.model), kept[1])


def test_companions_learn_and_are_kept_apart(tmp_path: Path) -> None:
    companions = nn.ModuleDict({"projector": nn.Linear(3, 3)})
    before = weights(companions)

    def lessons(student: nn.Module, seen: TensorBatch) -> list[Lesson]:
        z = companions["projector"](student(*seen.inputs))
        return [Lesson({"student_logits": z, "labels": seen.targets["labels"]})]

    taught = run(tmp_path, scheme=Scheme(lessons, companions))
    fit(taught)
    assert not torch.equal(before["projector.weight"], weights(companions)["projector.weight"])
    assert not any("projector" in name for name in taught.model.state_dict())
    found = checkpoint.parse(checkpoint.read_newest(tmp_path) or b"")
    assert found is not None
    assert any("projector" in name for name in found[0])


def test_a_split_smaller_than_a_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"batch_size: got 128, want at most the 96"):
        fit(run(tmp_path, training={"batch_size": 128}))


def test_weighted_terms_add_up() -> None:
    from edgekd.learn.method.loss import compute

    def constant(value: float) -> Any:
        return lambda x: x.sum() * 0 + value

    terms = [BoundTerm("a", 2.0, ("x",), constant(3)), BoundTerm("b", 0.5, ("x",), constant(4))]
    total, parts = compute(terms, {"x": torch.ones(1)})
    assert (total.item(), parts) == (8.0, {"a": 3.0, "b": 4.0})


def in_half_precision(monkeypatch: pytest.MonkeyPatch, init_scale: float = 2.0**8) -> None:
    """Trains in float16 on a CPU, with a scaler, as a GPU would. It begins low enough to skip no step."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins import MixedPrecision

    def made(precision: str, **more: Any) -> Fabric:
        scaler = torch.amp.GradScaler("cpu", init_scale=init_scale, growth_interval=3)
        return Fabric(plugins=[MixedPrecision("16-mixed", "cpu", scaler)], **more)

    monkeypatch.setattr("edgekd.learn.training.fit.Fabric", made)


@pytest.mark.trains
def test_half_precision_clips_the_gradients_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"clip_norm": 0.5, "epochs": 1}
    plain = run(tmp_path / "fp32", training=settings)
    fit(plain)
    in_half_precision(monkeypatch)
    half = run(tmp_path / "fp16", training=settings)
    fit(half)
    before, moved = weights(net())["5.weight"], []
    for each in (plain, half):
        moved.append((weights(each.model)["5.weight"] - before).norm().item())
    assert moved[1] == pytest.approx(moved[0], rel=0.2)


def test_half_precision_resumes_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_half_precision(monkeypatch)
    monkeypatch.setattr(
        "edgekd.learn.training.monitor.StepMonitor.show",
        lambda self, state: self.run.progress.update(state.step, self.total_steps, ""),
    )
    whole = run(tmp_path / "whole")
    rows = fit(whole)
    with pytest.raises(Killed):
        fit(run(tmp_path / "struck", progress=KillAt(13)))
    resumed = run(tmp_path / "struck", model=net(seed=99))
    assert fit(resumed) == rows
    assert_same(weights(whole.model), weights(resumed.model))


def test_on_a_cpu_no_optimizer_is_fused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would round otherwise than what is stored."""
    built: list[bool] = []

    def build(*given: Any, fused: bool) -> torch.optim.Optimizer:
        built.append(fused)
        return build_optimizer(*given, fused=fused)

    monkeypatch.setattr("edgekd.learn.training.fit.build_optimizer", build)
    fit(run(tmp_path, training={"epochs": 1}))
    assert built == [False]
