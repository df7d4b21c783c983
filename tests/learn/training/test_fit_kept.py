"""What the loop keeps on its way, when, and what it says meanwhile; by a clock of ours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.parallel import ranks
from edgekd.learn.settings import Arithmetic
from edgekd.learn.training import checkpoint
from edgekd.learn.training import fit as fitting
from edgekd.learn.training import monitor
from edgekd.learn.training.fit import TrainingDiverged
from edgekd.learn.training.fit import fit
from edgekd.learn.training.run import TrainingRun
from edgekd.progress import Silent
from tests.learn.training.test_fit import assert_same
from tests.learn.training.test_fit import in_half_precision
from tests.learn.training.test_fit import run
from tests.learn.training.test_fit import weights

STEPS = 6
"""Of an epoch."""


class Clock:
    """Stands for `time`: goes on only when it is told to."""

    def __init__(self) -> None:
        self.now_s = 128.0

    def monotonic(self) -> float:
        return self.now_s


def watched(each_step: Callable[[nn.Module], None]) -> Scheme:
    """Labels alone; `each_step` is called with the student after its answer."""

    def lessons(student: nn.Module, batch: TensorBatch) -> list[Lesson]:
        lesson = Lesson(
            {"student_logits": student(*batch.inputs), "labels": batch.targets["labels"]}
        )
        each_step(student)
        return [lesson]

    return Scheme(lessons, nn.ModuleDict())


def timed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, step_s: float, score_s: float = 0, **more: Any
) -> TrainingRun:
    """A run whose steps and scores take these times."""
    clock = Clock()
    for module in (fitting, monitor):
        monkeypatch.setattr(module, "time", clock)

    def step(student: nn.Module) -> None:
        clock.now_s += step_s

    def score(model: nn.Module) -> float:
        clock.now_s += score_s
        return 0.5

    return run(folder, scheme=watched(step), score=score, **more)


@pytest.mark.parametrize(
    ("every_s", "score_s", "on_nan", "want"),
    [
        (0, 0, "stop", [6, 12, 18, 24]),  # at the ends of epochs alone
        (0, 0, "rollback", [0, 6, 12, 18, 24]),  # there must be something to go back to
        (1, 0, "stop", list(range(1, 25))),
        (4, 0, "stop", [4, 8, 12, 16, 20, 24]),
        (4, 4, "stop", [4, 6, 10, 12, 16, 18, 22, 24]),  # a score takes time, too
        (100, 0, "stop", []),
    ],
)
def test_a_kill_costs_no_more_than_was_asked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    every_s: int,
    score_s: float,
    on_nan: str,
    want: list[int],
) -> None:
    """Steps of a second each, six an epoch."""
    kept: list[int] = []
    write = checkpoint.write

    def record(folder: Path, step: int, *rest: Any) -> None:
        kept.append(step)
        write(folder, step, *rest)

    monkeypatch.setattr(checkpoint, "write", record)
    training = {"checkpoint_every_s": every_s, "on_nan": on_nan}
    fit(timed(tmp_path, monkeypatch, step_s=1, score_s=score_s, training=training))
    assert kept == want


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[tuple[int, int, str]] = []

    def update(self, done: int, total: int, text: str) -> None:
        self.lines.append((done, total, text))


@pytest.mark.parametrize(
    ("step_s", "want"),
    [
        (0.0625, [(4, "256/s"), (6, "256/s")]),  # a few times a second, and the last one
        (0.25, [(1, "64/s"), (2, "64/s"), (3, "64/s"), (4, "64/s"), (5, "64/s"), (6, "64/s")]),
        (0.0, [(6, "96,000,000,000/s")]),  # a clock that stands still ends nothing
    ],
)
def test_throughput_is_that_since_the_line_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_s: float, want: list[tuple[int, str]]
) -> None:
    """Batches of 16."""
    said = Said()
    fit(timed(tmp_path, monkeypatch, step_s=step_s, progress=said, training={"epochs": 1}))
    assert [(done, text.split()[-1]) for done, _, text in said.lines] == want
    assert {total for _, total, _ in said.lines} == {STEPS}
    assert all(text.startswith("epoch 1/1  cross-entropy ") for _, _, text in said.lines)


def test_throughput_after_a_resume_counts_what_was_done_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(timed(tmp_path, monkeypatch, step_s=1.0, training={"epochs": 1, "schedule": "constant"}))
    said, longer = Said(), {"epochs": 2, "schedule": "constant"}
    fit(timed(tmp_path, monkeypatch, step_s=1.0, progress=said, training=longer))
    assert [(done, text.split()[-1]) for done, _, text in said.lines] == [
        (done, "16/s") for done in range(7, 13)
    ]


@pytest.mark.parametrize("training", [{}, {"ema_decay": 0.5}])
@pytest.mark.parametrize(
    ("waypoints", "epochs", "want"), [(0, 4, []), (1, 4, [2]), (2, 4, [1, 3]), (3, 8, [2, 4, 6])]
)
def test_states_on_the_way_are_those_that_were_scored(
    tmp_path: Path, waypoints: int, epochs: int, want: list[int], training: dict[str, Any]
) -> None:
    """Evenly over the epochs, the end not among them; of an average, if that is what is kept."""
    passed: list[dict[str, Tensor]] = []

    def score(model: nn.Module) -> float:
        passed.append(weights(model))
        return 0.5

    more = {"waypoints": waypoints} if waypoints else {}
    made = run(tmp_path, score=score, training={"epochs": epochs, **training}, **more)
    fit(made)
    numbers = {int(name.partition("/")[0]) for name in made.passed}
    assert numbers == set(range(1, waypoints + 1))
    for number, epoch in enumerate(want, 1):
        assert_same(checkpoint.strip_prefix(str(number), made.passed), passed[epoch - 1])


def test_it_learns_in_training_mode_and_is_scored_in_evaluation(tmp_path: Path) -> None:
    modes: list[tuple[str, bool]] = []
    companions = nn.ModuleDict({"projector": nn.Linear(3, 3)}).eval()

    def lessons(student: nn.Module, batch: TensorBatch) -> list[Lesson]:
        modes.append(("student", student.training))
        modes.append(("companion", companions["projector"].training))
        z = companions["projector"](student(*batch.inputs))
        return [Lesson({"student_logits": z, "labels": batch.targets["labels"]})]

    def score(model: nn.Module) -> float:
        modes.append(("scored", model.training))
        return 0.5

    made = run(tmp_path, scheme=Scheme(lessons, companions), score=score)
    fit(made)
    assert set(modes) == {("student", True), ("companion", True), ("scored", False)}
    assert not made.model.training


@pytest.mark.parametrize(
    ("keep", "scores", "want"),
    [
        ("best", [0.5, 0.9, 0.9, 0.8], 1),  # of two alike, the earlier
        ("best", [0.0, 0.0, 0.0, 0.0], 0),
        ("last", [0.5, 0.9, 0.9, 0.8], 3),
    ],
)
def test_which_weights_are_left(tmp_path: Path, keep: str, scores: list[float], want: int) -> None:
    shown: list[dict[str, Tensor]] = []

    def score(model: nn.Module) -> float:
        shown.append(weights(model))
        return scores[len(shown) - 1]

    made = run(tmp_path, score=score, training={"keep": keep})
    fit(made)
    assert_same(weights(made.model), shown[want])


@pytest.mark.parametrize(
    ("patience", "scores", "epochs"),
    [
        (1, [0.5, 0.6, 0.7, 0.7, 0.9], 4),  # no better than before is not better
        (1, [0.5, 0.5, 0.9], 2),
        (2, [0.5, 0.4, 0.6, 0.4, 0.4, 0.9], 5),
        (3, [0.0] * 6, 4),
    ],
)
def test_it_ends_when_it_stood_still_for_so_many_epochs(
    tmp_path: Path, patience: int, scores: list[float], epochs: int
) -> None:
    left = iter(scores)
    training = {"epochs": len(scores), "early_stop_epochs": patience}
    rows = fit(run(tmp_path, score=lambda model: next(left), training=training))
    assert [row["score"] for row in rows] == scores[:epochs]


def test_weights_that_are_no_numbers_at_the_end_are_refused(tmp_path: Path) -> None:
    """A loss that is finite does not show what its own update spoils."""
    steps: list[int] = []

    def step(student: nn.Module) -> None:
        steps.append(1)
        if len(steps) == STEPS:
            made.model[5].bias.register_hook(lambda gradient: gradient * torch.inf)

    made = run(tmp_path, scheme=watched(step), training={"epochs": 1})
    with pytest.raises(
        TrainingDiverged, match=r"5\.bias: got weights that are no numbers"
    ) as caught:
        fit(made)
    assert caught.value.exit_code == 1  # a run that failed, not a wrong recipe


@pytest.mark.trains
def test_gradients_that_overflow_half_precision_cost_a_step_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_half_precision(monkeypatch, init_scale=2.0**40)
    made = run(tmp_path, training={"clip_norm": 0.5, "epochs": 6})
    before = weights(made.model)
    assert len(fit(made)) == 6
    assert not torch.equal(weights(made.model)["5.weight"], before["5.weight"])


def test_gradients_are_averaged_over_the_ranks_before_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ranks whose average is twice ours move the weights twice as far in one step without momentum."""
    training = {
        "epochs": 1,
        "batch_size": 96,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "schedule": "constant",
    }
    moved = []
    for times in (1, 2):

        def average(model: nn.Module, times: int = times) -> None:
            for p in model.parameters():
                assert p.grad is not None
                p.grad *= times

        monkeypatch.setattr(ranks, "average_gradients", average)
        made = run(tmp_path / str(times), training=training)
        before = weights(made.model)
        fit(made)
        moved.append(weights(made.model)["5.weight"] - before["5.weight"])
    torch.testing.assert_close(moved[1], 2 * moved[0], rtol=1e-3, atol=1e-6)


def test_ranks_that_do_not_fit_the_batch_end_it_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def join(batch_size: int) -> None:
        raise InputError(f"got {batch_size}")

    monkeypatch.setattr(ranks, "require_even_batch", join)
    with pytest.raises(InputError, match="got 16"):
        fit(run(tmp_path))
    assert not list(tmp_path.iterdir())


def test_the_library_below_says_nothing_of_its_own() -> None:
    assert not logging.getLogger("lightning_fabric").isEnabledFor(logging.INFO)


@pytest.mark.parametrize("channels_last", [False, True])
def test_model_and_images_lie_in_the_asked_memory_order(
    tmp_path: Path, channels_last: bool
) -> None:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    held: list[bool] = []
    model = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(36, 3))

    def lessons(student: nn.Module, batch: TensorBatch) -> list[Lesson]:
        held.append(model[1].weight.is_contiguous(memory_format=layout))
        held.append(batch.inputs[0].is_contiguous(memory_format=layout))
        return [
            Lesson({"student_logits": student(*batch.inputs), "labels": batch.targets["labels"]})
        ]

    resolved = Arithmetic(precision="fp32", channels_last=channels_last, threads=1)
    scheme = Scheme(lessons, nn.ModuleDict())
    fit(run(tmp_path, model=model, scheme=scheme, resolved=resolved, training={"epochs": 1}))
    assert held == [True] * 2 * STEPS
