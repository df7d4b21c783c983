"""Every loss and every scheme trains from a recipe on digits, outlives a kill, and ships the student alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_digits

from edgekd import plan as plans
from edgekd import recipe as recipes
from edgekd.learn.losses import FAMILIES
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import compute_lessons
from edgekd.learn.schemes import SCHEMES
from edgekd.progress import Silent
from edgekd.run import Options
from edgekd.stage import Context
from edgekd.stage import Made
from edgekd.stage import Step
from tests import data_example
from tests.learn.training.test_monitor import CountReads

TRAIN = {
    "epochs": 6,
    "batch_size": 64,
    "optimizer": "adamw",
    "learning_rate": 0.003,
    "precision": "fp32",
    "channels_last": False,
    "threads": 1,
    "checkpoint_every_s": 0,
}
SAMPLES = 320
STRUCK_AT = 8
MINIMAX = set(FAMILIES["adversarial"]) | {"ctkd"}
"""Two players pull these two ways: they need not fall."""
OTHER_TASKS = {"cross-entropy", "binary-cross-entropy", "binary-kd", *FAMILIES["values"]}
"""The one that is always there, and those that other targets teach."""
TEACHER = {"model": {"name": "resnet14", "base": 6}, "train": {**TRAIN, "epochs": 6}}
STUDENT = {"model": {"name": "resnet8", "base": 4}, "train": TRAIN}
SHARE = 0.1
"""Of the literature's weights, or of 1 where they are above: those are for hours, these are seconds."""
OLD = {"only": ["0", "1", "2", "3", "4"]}
NEW = {
    "only": ["5", "6", "7", "8", "9"],
    "inherit": {"rule": "same"},
    "losses": ["cross-entropy"],
    "model": TEACHER["model"],
}
LONGER = {**TRAIN, "epochs": 20, "learning_rate": 0.01}
VIT = {"name": "vit-tiny", "dim": 16, "heads": 2, "patch": 2, "expand": 2}
LOSS_WORDS: dict[str, dict[str, Any]] = {
    "ttm": {"weight": 10.0},  # labels pull away from an almost even answer
    "sp": {"weight": 100.0},
    "attention-scores": {
        "layers": {"student": "layers.1.attention.scores", "teacher": "layers.2.attention.scores"}
    },
    "minilm": {
        "layers": {"student": "layers.1.attention.key", "teacher": "layers.2.attention.key"},
        "heads": 2,
    },
}
SCHEME_WORDS: dict[str, dict[str, Any]] = {
    "densely-guided": {"teachers": ["teacher", "other"]},
    "adaptive": {"teachers": ["teacher", "other"]},
    "uskd": {"losses": ["cross-entropy"]},
    "adversarial-training": {"losses": ["cross-entropy"]},
    "supernet": {"scheme": {"name": "supernet", "knob": "base", "values": "2, 3"}},
    "lwf": {"scheme": {"name": "lwf", "old": 5}, **NEW},
    "lwf-mc": {"scheme": {"name": "lwf-mc", "old": 5}, **NEW},
    "less-forgetting": {"scheme": {"name": "less-forgetting", "old": 5}, **NEW},
}
RECIPE_WORDS: dict[str, dict[str, Any]] = {
    "route": {"teacher": {**TEACHER, "waypoints": 2}},
    **{
        name: {"teacher": {**TEACHER, **OLD}, "student": {**STUDENT, "model": TEACHER["model"]}}
        for name in ("lwf", "lwf-mc", "less-forgetting")
    },
    **{
        name: {
            "teacher": {"model": {**VIT, "depth": 3}, "train": LONGER},
            "student": {"model": {**VIT, "depth": 2}, "train": LONGER},
        }
        for name in ("attention-scores", "attention-kl", "minilm")
    },
}


WITHOUT_DATA = ("dafl", "zskt", "dfad")
"""A generator needs minutes before its images teach anything; that it does is in tests/learn/synthesis."""


class Killed(Exception):
    """Stands for a kill."""


class Kill(Silent):
    """Strikes once, at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def update(self, done: int, total: int, text: str) -> None:
        if done == self.step:
            raise Killed


class Noted(Silent):
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def planned(folder: Path, words: dict[str, Any], more: dict[str, Any]) -> dict[str, Step]:
    """The steps of a recipe that learns with these words, by label."""
    recipe = {
        "name": "every",
        "data": {"source": "digits"},
        "views": {"count": 2},
        "teacher": TEACHER,
        "teachers": {"other": TEACHER},
        "student": STUDENT,
        "learn": [{"step": "distil", **words}],
        "targets": [{"runtime": "onnxruntime"}],
        **more,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    options = Options(run_dir=folder / "run", store=folder / "store")
    return {step.label: step for step in plans.steps(recipes.load(path), folder, options)}


def run(
    step: Step, given: dict[str, Path], folder: Path, progress: Silent, workers: int = 0
) -> Made:
    made = folder / "made"
    made.mkdir(parents=True, exist_ok=True)
    context = Context(folder=made, checkpoints=folder / "kept", seed=step.seed, progress=progress)
    settings: Any = step.settings
    if hasattr(settings, "train"):
        train = settings.train.model_copy(update={"workers": workers})
        settings = settings.model_copy(update={"train": train})
    return step.stage.run(settings, given, context)


@dataclasses.dataclass
class Place:
    """Files of earlier steps by label and name, made when they are first asked for."""

    root: Path
    made: dict[tuple[str, str], Path]

    def given(self, steps: dict[str, Step], label: str) -> dict[str, Path]:
        return {name: self.file(steps, *place) for name, place in steps[label].takes.items()}

    def file(self, steps: dict[str, Step], label: str, file: str) -> Path:
        kind = f"{label}-{steps[label].settings!r}" if label in steps else label
        if (kind, file) not in self.made:
            folder = self.root / f"{label}-{len(self.made)}"
            made = run(steps[label], self.given(steps, label), folder, Silent())
            self.made |= {(kind, name): path for name, path in made.items()}
        return self.made[kind, file]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Digits, and whatever the methods need, made once."""
    root = tmp_path_factory.mktemp("digits")
    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    field = data_example.image(8, 8, mean=0.3, std=0.35)
    (root / "resolved.json").write_text('{"precision":"fp32","channels_last":false,"threads":1}')
    parts = {"train": slice(0, SAMPLES), "validation": slice(SAMPLES, SAMPLES + 200)}
    arrays = {name: (images[rows], digits.target[rows]) for name, rows in parts.items()}
    written = data_example.write_data(root, field, "0123456789", **arrays)
    names = {"data": "data.json"}
    return Place(root, {("data", names.get(name, name)): path for name, path in written.items()})


@pytest.fixture(autouse=True)
def _every_step_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "edgekd.learn.training.monitor.StepMonitor.show",
        lambda self, state: self.run.progress.update(state.step, self.total_steps, ""),
    )


def trained(
    place: Place, folder: Path, words: dict[str, Any], more: dict[str, Any]
) -> list[dict[str, float]]:
    """The history of a whole run; a struck one, resumed with two workers, must give the same bytes."""
    steps = planned(folder, words, more)
    for label in [label for label in steps if label.startswith("tune")]:
        place.made[f"{label}-{steps[label].settings!r}", "resolved.json"] = (
            place.root / "resolved.json"
        )
    data = steps.pop("data")
    assert data.stage.name == "data"
    step, given = steps["distil"], place.given(steps, "distil")
    whole = run(step, given, folder / "whole", Silent())
    with pytest.raises(Killed):
        run(step, given, folder / "struck", Kill(STRUCK_AT), workers=2)
    again = run(step, given, folder / "struck", Silent(), workers=2)
    for name, path in whole.items():
        assert path.read_bytes() == again[name].read_bytes(), name
    plain = json.loads(place.file(steps, "control", "blueprint.json").read_bytes())
    shipped = json.loads(whole["blueprint.json"].read_bytes())
    control = names(place.file(steps, "control", "weights.safetensors"))
    if shipped["edits"] != plain["edits"]:  # SimKD alone ships more than the student
        assert [edit["name"] for edit in shipped["edits"]] == ["reuse"] and "simkd" in str(words)
    else:
        assert shipped == plain and names(whole["weights.safetensors"]) == control
    history: list[dict[str, float]] = json.loads(whole["history.json"].read_bytes())
    return history


def names(weights: Path) -> set[str]:
    import safetensors

    with safetensors.safe_open(weights, framework="np") as file:
        return set(file.keys())


WAITING_STEPS = 3
"""How many steps are looked at."""


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the losses of each of the first steps ask for a value that a GPU would have to be waited for."""
    counts: list[int] = []

    def counted(*arguments: Any) -> Any:
        if len(counts) == WAITING_STEPS:
            return compute_lessons(*arguments)
        with CountReads() as reads:
            found = compute_lessons(*arguments)
        counts.append(reads.count)
        return found

    monkeypatch.setattr("edgekd.learn.training.fit.compute_lessons", counted)
    return counts


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in OTHER_TASKS])
def test_every_loss_trains(place: Place, tmp_path: Path, name: str, waits: list[int]) -> None:
    weight = SHARE * min(1.0, LOSSES[name].weight)
    term = {"name": name, "weight": weight, **LOSS_WORDS.get(name, {})}
    words = {"losses": ["cross-entropy", term]}
    history = trained(place, tmp_path, words, RECIPE_WORDS.get(name, {}))
    assert waits == [0] * WAITING_STEPS
    if name not in MINIMAX:
        assert history[-1][name] < history[0][name]


@pytest.mark.parametrize("name", [n for n in SCHEMES if SCHEMES[n].per != "next-token"])
def test_every_scheme_trains(place: Place, tmp_path: Path, name: str) -> None:
    words = {"scheme": name, "losses": ["cross-entropy", "kd"], **SCHEME_WORDS.get(name, {})}
    history = trained(place, tmp_path, words, RECIPE_WORDS.get(name, {}))
    if name not in WITHOUT_DATA:
        assert history[-1]["cross-entropy"] < history[0]["cross-entropy"]


def test_a_private_student_resumes_to_the_same_bytes(place: Place, tmp_path: Path) -> None:
    words = {"losses": ["cross-entropy", "kd"], "private": {"epsilon": 50.0, "delta": 1e-3}}
    student = {**STUDENT, "norm": "group", "train": {**TRAIN, "epochs": 12, "learning_rate": 0.02}}
    history = trained(place, tmp_path, words, {"student": student})
    assert history[-1]["cross-entropy"] < history[0]["cross-entropy"]


def test_a_weight_that_the_recipe_leaves_open_is_noted(place: Place, tmp_path: Path) -> None:
    steps = planned(tmp_path, {"losses": ["dkd", {"name": "dkd", "weight": 1.0}, "reviewkd"]}, {})
    for label in [label for label in steps if label.startswith("tune")]:
        place.made[f"{label}-{steps[label].settings!r}", "resolved.json"] = (
            place.root / "resolved.json"
        )
    steps.pop("data")
    noted = Noted()
    run(steps["distil"], place.given(steps, "distil"), tmp_path / "whole", noted)
    epochs = STUDENT["train"]["epochs"] / 12
    assert noted.notes[:2] == [
        f"dkd: weight 0.1, from 0 over {epochs:.3g} epochs",
        f"reviewkd: weight 1, from 0 over {epochs:.3g} epochs",
    ]
