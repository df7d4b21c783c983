"""A student of one's own is trained by a teacher of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from edgekd.errors import InputError
from edgekd.learn.standalone.distillation import distil
from edgekd.progress import EpochEnd
from edgekd.progress import Event
from tests.learn.standalone_example import batches
from tests.learn.standalone_example import net


def share_right(model: nn.Module) -> float:
    images, labels = batches(8)[-1]
    return (model(images).argmax(1) == labels).float().mean().item()


def test_a_teacher_learns_and_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    settings: dict[str, Any] = {"epochs": 8, "learning_rate": 0.1, "quiet": True}
    teacher, _ = distil(net(8), None, batches(), **settings)
    events: list[Event] = []
    own = net(4)
    drawn = torch.get_rng_state()
    student, history = distil(
        own, teacher, batches(), score=share_right, callbacks=[events.append], **settings
    )
    assert torch.equal(torch.get_rng_state(), drawn) and capsys.readouterr().err == ""
    assert not student.training and history[-1]["score"] == share_right(student)
    assert history[-1]["kd"] < history[0]["kd"]
    assert [e.values for e in events if isinstance(e, EpochEnd)] == history
    again, same = distil(net(4), teacher, batches(), score=share_right, **settings)
    assert same == history


@pytest.mark.parametrize("asked", [True, "auto", None])
def test_a_student_is_compiled_where_that_is_said(
    asked: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As if there were no C++ compiler: it says so and learns the same."""
    settings: dict[str, Any] = {"epochs": 1, "learning_rate": 0.1, "quiet": True}
    compiled: list[object] = []

    def refuse(forward: object, **_: object) -> None:
        compiled.append(forward)
        raise RuntimeError("no C++ compiler")

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(torch, "compile", refuse)
    _, plain = distil(net(4), None, batches(), **settings)
    assert not compiled
    assert distil(net(4), None, batches(), **settings, compile=asked)[1] == plain
    assert bool(compiled) == (asked is True)


def test_an_interrupted_training_goes_on(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 4, "learning_rate": 0.1, "quiet": True}
    _, whole = distil(net(2), net(4), batches(), **settings)

    def stop(event: Event) -> None:
        assert isinstance(event, EpochEnd)
        if event.epoch == 2:
            raise KeyboardInterrupt

    settings |= {"checkpoints": tmp_path, "checkpoint_every_s": 0.0}
    with pytest.raises(KeyboardInterrupt):
        distil(net(2), net(4), batches(), callbacks=[stop], **settings)
    epochs: list[int] = []
    student, rows = distil(
        net(2, seed=9),
        net(4),
        batches(),
        callbacks=[lambda e: epochs.append(e.epoch)],
        **settings,  # type: ignore[union-attr]
    )
    assert rows == whole and epochs == [3, 4]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs: got 0"),
        ({"batch_size": 8}, "batch_size: got it"),
        ({"lerning_rate": 1.0}, "lerning_rate: got 1.0"),
        ({"keep": "best"}, "want what to go by"),
        ({"class_weights": "balanced"}, "class_weights: got it, want a loader"),
        ({"freeze": 9}, "freeze"),
        ({"bs": 8}, "batch_size: got it"),
        ({"score": lambda model: None}, "score: got NoneType, want a number"),
        ({"score": lambda model: float("nan"), "keep": "best"}, "score: got nan, want a number"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        distil(net(2), net(4), batches(), quiet=True, **settings)


def test_what_is_frozen_stays(capsys: pytest.CaptureFixture[str]) -> None:
    own = net(2)
    before = own[0].weight.clone()
    student, _ = distil(own, net(4), batches(2), epochs=1, freeze=1, quiet=True)
    assert torch.equal(student.get_parameter("0.weight"), before)
    assert not torch.equal(student.get_parameter("8.weight"), net(2)[8].weight)


def test_a_teacher_comes_back_as_it_was() -> None:
    teacher = net(4).train()
    teacher[0].eval()
    teacher[8].bias.requires_grad_(False)
    distil(net(2), teacher, batches(1), epochs=1, quiet=True)
    assert teacher.training and not teacher[0].training and teacher[1].training
    assert [n for n, each in teacher.named_parameters() if not each.requires_grad] == ["8.bias"]


def test_networks_that_cannot_be_are_refused() -> None:
    own: Any = net(2)
    name: Any = "resnet8"
    for student, teacher, message in (
        (own, own, "got the student itself"),
        (net(2).requires_grad_(False), own, "no parameter that requires a gradient"),
        (name, own, "model: got str"),
        (own, name, "teacher: got str"),
    ):
        with pytest.raises(InputError, match=message):
            distil(student, teacher, batches(1), epochs=1, quiet=True)
    with pytest.raises(InputError, match="^got unknown optimizer"):
        distil(own, None, batches(1), optimizer="lbfgs", quiet=True)


def test_networks_without_norms_learn_from_raw_pixels_where_a_call_says_nothing() -> None:
    digits = load_digits()
    images, labels = torch.tensor(digits.images, dtype=torch.float32), torch.tensor(digits.target)
    loader = list(zip(images.split(64), labels.split(64), strict=True))
    for hidden, settings in ((1, {}), (1, {"optimizer": "adamw"}), (5, {})):
        torch.manual_seed(1)
        layers = [layer for _ in range(hidden) for layer in (nn.Linear(64, 64), nn.ReLU())]
        student = nn.Sequential(nn.Flatten(), *layers, nn.Linear(64, 10))
        distil(student, None, loader, epochs=8, quiet=True, **settings)
        right = (student(images).argmax(1) == labels).float().mean()
        assert right > 0.8, (hidden, settings)
