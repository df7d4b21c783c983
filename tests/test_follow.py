"""Steps as orders to other ranks: what is asked is what would be done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgekd import follow
from edgekd import pipeline
from edgekd import recipe as recipes
from edgekd.errors import InputError
from edgekd.launch.environment import Launch
from edgekd.launch.environment import count_partners
from edgekd.progress import Silent
from edgekd.run import Options
from edgekd.settings import Settings
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.stage import Step

ROOT = Path(__file__).parents[1]
TWO = Launch(0, 2, 0, 2)


class Words(Settings):
    """Those of a toy."""

    word: str


def write(config: Words, given: Given, context: Context) -> Made:
    """Note all that a stage is given."""
    lines = [config.word, given["x"].read_text(), str(context.seed), context.checkpoints.name]
    (context.checkpoints / "seen").write_text(" ".join(lines))
    (context.folder / "made").write_text("thrown away")
    return {"made": context.folder / "made"}


TOY = Stage("toy", Words, write)


def options(folder: Path, **more: Any) -> Options:
    return Options(run_dir=folder / "run", store=folder / "store", **more)


def plan(name: str, tmp_path: Path, *overrides: str) -> tuple[Step, ...]:
    path = ROOT / "pipelines" / name
    loaded = recipes.load(path, overrides)
    return pipeline.plan(loaded, path, options(tmp_path, dry=True, allow_code=True))


@pytest.mark.parametrize(
    "name", ["quickstart.yaml", "fashion-mnist-int8.yaml", "digit-scenes.yaml"]
)
def test_settings_arrive_as_they_were_sent(tmp_path: Path, name: str) -> None:
    overrides = (
        "student.train.workers=3",
        "student.train.checkpoint_every_s=1.5",
        "teacher.sharded=true",
    )
    steps = [s for s in plan(name, tmp_path, *overrides) if s.stage.name in follow.SHARED]
    assert {"train", "distil"} <= {step.stage.name for step in steps}
    for step in steps:
        sent = json.dumps(follow.dump_settings(step.settings))
        arrived = follow.find_stage(step.stage.name).settings.model_validate_json(sent)
        assert arrived == step.settings
    learned = next(step.settings for step in steps if step.label == "distil")
    assert learned.train.workers == 3  # type: ignore[attr-defined]


def test_an_order_does_what_the_step_does_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "find_stage", {"toy": TOY}.__getitem__)
    (tmp_path / "x").write_text("given")
    context = Context(folder=tmp_path, checkpoints=tmp_path, seed=7, progress=Silent())
    step = Step("label", TOY, Words(word="hello"), {})
    order = follow.describe_order(step, {"x": tmp_path / "x"}, context)
    follow.carry_out_order(json.loads(json.dumps(order)), options(tmp_path))
    assert (tmp_path / "seen").read_text() == f"hello given 7 {tmp_path.name}"
    assert not (tmp_path / "made").exists()


def test_a_file_that_a_rank_does_not_see_is_named(tmp_path: Path) -> None:
    order = {"stage": "train", "given": {"x": str(tmp_path / "none")}}
    with pytest.raises(InputError, match=r"none: is not there, want it on every machine"):
        follow.carry_out_order(order, options(tmp_path))


def test_no_other_stage_may_be_asked_for() -> None:
    for name in ("measure", "os", "..train"):
        with pytest.raises(KeyError):
            follow.find_stage(name)


class Asked:
    """Notes what is shared."""

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []

    def share(self, order: dict[str, Any]) -> None:
        """One more."""
        self.orders.append(order)


@pytest.mark.parametrize(("name", "partners"), [("train", 2), ("measure", 1)])
def test_ranks_share_what_is_learned_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, partners: int
) -> None:
    for key, value in zip(
        ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"), "0202", strict=True
    ):
        monkeypatch.setenv(key, value)
    others = Asked()
    step = Step(name, TOY._replace(name=name), Words(word="w"), {})
    context = Context(folder=tmp_path, checkpoints=tmp_path, seed=0, progress=Silent())
    with follow.share_step(step, {}, context, others):
        assert count_partners() == partners
    assert [order["stage"] for order in others.orders] == (["train"] if partners == 2 else [])


def test_a_batch_that_ranks_cannot_share_is_refused_before_anything_runs(tmp_path: Path) -> None:
    odd = plan("quickstart.yaml", tmp_path, "student.train.batch_size=63")
    follow.require_even_batches(odd, Launch(0, 1, 0, 1))
    with pytest.raises(
        InputError, match=r"control: train.batch_size: got 63, want a multiple of 2"
    ):
        follow.require_even_batches(odd, TWO)
    follow.require_even_batches(plan("quickstart.yaml", tmp_path), TWO)
