"""Who shares out what, said before anything runs; no key knows of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from edgekd import plan
from edgekd import recipe as recipes
from edgekd.launch.environment import Launch
from edgekd.plan.sharding import describe_sharding
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.stages.distil import DistilConfig
from edgekd.stages.knowledge import KnowledgeConfig
from edgekd.stages.quantize import QuantizeConfig

TWO = Launch(0, 2, 0, 2)
KD = {"step": "distil", "losses": ["cross-entropy", "kd"]}
ONLINE = {**KD, "knowledge": "online"}
BLOCKWISE = {"step": "distil", "scheme": "blockwise", "losses": ["cross-entropy"]}
DML = {"step": "distil", "scheme": "dml", "losses": ["cross-entropy", "kd"]}
REUSED = {"step": "distil", "losses": ["cross-entropy", "simkd"]}
TWO_TEACHERS = {**ONLINE, "teachers": ["teacher", "wide"]}


def read(folder: Path, *learn: object, sharded: bool = True) -> recipes.Recipe:
    wide = {"model": "resnet20", "sharded": sharded}
    recipe = {
        "name": "small",
        "data": {"source": "digits"},
        "teacher": {"model": "resnet20"},
        "teachers": {"wide": wide},
        "student": {"model": "resnet8"},
        "learn": list(learn),
        "targets": [{"runtime": "onnxruntime"}],
    }
    if not any("teachers" in step for step in learn):  # type: ignore[operator]
        recipe |= {"teacher": wide}
        del recipe["teachers"]
    path = folder / "r.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return recipes.load(path)


def steps(recipe: recipes.Recipe, folder: Path) -> dict[str, Step]:
    options = Options(run_dir=folder / "run", store=folder / "store")
    return {step.label: step for step in plan.steps(recipe, folder, options)}


@pytest.mark.parametrize(
    ("learn", "marks"),
    [(KD, ()), (ONLINE, ("",)), (TWO_TEACHERS, ("_2",)), (BLOCKWISE, ()), (REUSED, ())],
)
def test_a_live_teacher_is_shared_out_where_nothing_takes_it_apart(
    tmp_path: Path, learn: dict[str, object], marks: tuple[str, ...]
) -> None:
    recipe = read(tmp_path, learn)
    made = steps(recipe, tmp_path)
    config = made["distil"].settings
    assert isinstance(config, DistilConfig) and config.sharded == marks
    if learn is KD:
        asked = made["knowledge"].settings
        assert isinstance(asked, KnowledgeConfig) and asked.sharded
    whole = describe_sharding(recipe, TWO).get("distil", "")
    assert ("every rank holds teacher whole" in whole) == (learn in (BLOCKWISE, REUSED))


def test_a_quantized_student_hears_a_shared_out_teacher(tmp_path: Path) -> None:
    made = steps(read(tmp_path, KD, {"step": "quantize", "knowledge": "online"}), tmp_path)
    found = [s.settings for s in made.values() if isinstance(s.settings, QuantizeConfig)]
    assert found and all(each.sharded for each in found)


def test_keys_do_not_know_of_it(tmp_path: Path) -> None:
    for learn in (KD, ONLINE):
        said = [
            {n: s.settings.model_dump(mode="json") for n, s in steps(recipe, tmp_path).items()}
            for recipe in (read(tmp_path, learn, sharded=each) for each in (True, False))
        ]
        assert said[0] == said[1]


@pytest.mark.parametrize(
    ("learn", "said"),
    [
        (KD, "2 ranks share out the student's parameters, gradients and moments"),
        (DML, "every rank holds the student whole: scheme dml may take it apart"),
    ],
)
def test_the_plan_says_who_holds_a_student_that_learns(
    tmp_path: Path, learn: dict[str, object], said: str
) -> None:
    step = {**learn, "train": {"sharded": True}}
    recipe = read(tmp_path, step, sharded=False)
    assert describe_sharding(recipe, TWO) == {"distil": said}
    config = steps(recipe, tmp_path)["distil"].settings
    assert isinstance(config, DistilConfig) and config.train.sharded
    assert "sharded" not in str(config.model_dump(mode="json"))


def test_the_plan_says_who_holds_what(tmp_path: Path) -> None:
    recipe = read(tmp_path, ONLINE)
    assert describe_sharding(recipe, TWO) == {
        "teacher": "2 ranks share out its parameters while it answers"
    }
    alone = describe_sharding(recipe, Launch(0, 1, 0, 1))
    assert alone == {"teacher": "sharded: nothing is shared out without a launcher"}
    assert describe_sharding(read(tmp_path, ONLINE, sharded=False), TWO) == {}
