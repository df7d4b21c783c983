"""Published models in a recipe: asked for before anything runs, pinned, and their images known to the data."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgekd import pipeline
from edgekd import plan
from edgekd import recipe as recipes
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.model_settings import Input
from edgekd.learn.models.timm import LEAST_VERSION
from edgekd.plan import closing
from edgekd.plan import pretrained_models
from edgekd.recipe import Recipe
from edgekd.recipe import text as recipe_text
from edgekd.recipe import writing
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.store import CreationTime
from edgekd.store import StoreEntry
from tests import model_hub_example

SHIPPED = Path(__file__).parent.parent.parent / "pipelines" / "quickstart.yaml"
CONFIG = {
    "architecture": "resnet18",
    "label_names": ["cat", "dog"],
    "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "input_size": [3, 64, 48]},
}
REPOSITORY = "timm/resnet18.a1"
FILES = {
    (REPOSITORY, "config.json"): json.dumps(CONFIG).encode(),
    (REPOSITORY, "model.safetensors"): b"weights",
}
PRETRAINED = "{name: timm:resnet18, pretrained: true}"


@pytest.mark.parametrize(
    ("knobs", "want"),
    [
        ("layers: 9", "student.model.layers: got 9, want 1 to 6"),
        ("keep_layers: '0,6'", "student.model.keep_layers: got 0,6, want ascending numbers"),
        ("heads: 5", "student.model.heads: got 5, want a divisor of width 384"),
        ("width: 100, heads: 3", "student.model.heads: got 3, want a divisor of width 100"),
        ("layers: 6", ""),
    ],
)
@pytest.mark.parametrize("dry", [True, False])
def test_sizes_that_a_configuration_lacks_are_refused_without_building(
    tmp_path: Path, knobs: str, want: str, dry: bool
) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "m").mkdir()
    sizes = {"num_hidden_layers": 6, "hidden_size": 384, "num_attention_heads": 12}
    (tmp_path / "m" / "config.json").write_text(json.dumps({"model_type": "bert", **sizes}))
    model = f"{{name: 'transformers:{tmp_path}/m', {knobs}}}"
    recipe = recipes.load(SHIPPED, (f"student.model={model}",))
    options = Options(run_dir=tmp_path / "run", store=tmp_path, dry=dry)
    if not want:
        pretrained_models.settle_models(recipe, options)
        return
    with pytest.raises(InputError) as refused:
        pretrained_models.settle_models(recipe, options)
    assert refused.value.line().startswith(want)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the hub's client, empty; a timm that knows one network."""
    settings = SimpleNamespace(
        hf_hub_id="timm/", architecture="resnet18", tag="a1", fixed_input_size=False
    )
    timm = SimpleNamespace(
        __version__=LEAST_VERSION,
        is_model=lambda name: name == "resnet18",
        list_models=lambda: ["resnet18"],
        get_pretrained_cfg=lambda name: settings,
    )
    monkeypatch.setitem(sys.modules, "timm", timm)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def load(*overrides: str) -> Recipe:
    return recipes.load(SHIPPED, [f"teacher.model={PRETRAINED}", *overrides])


def options(tmp_path: Path, **words: Any) -> Options:
    return Options(run_dir=tmp_path / "run", store=tmp_path / "store", **words)


def planned(tmp_path: Path, recipe: Recipe, **words: Any) -> dict[str, Step]:
    steps = plan.steps(recipe, SHIPPED.parent, options(tmp_path, **words))
    return {step.label: step for step in steps}


@pytest.mark.parametrize(
    ("config", "want"),
    [
        ("{}", "got a configuration without model_type"),
        ('{"model_type": "nope"}', "got model_type 'nope', want a text model"),
        ('{"model_type": "bert", "num_hidden_layers": 1000000}', "num_hidden_layers: got 1000000"),
        ('{"model_type": "bert", "auto_map": {}}', "brings its own code"),
        ('{"model_type": "bert", "layer_norm_eps": -1}', "layer_norm_eps"),
    ],
)
def test_a_configuration_that_nothing_builds_is_refused_before_the_data_are_read(
    tmp_path: Path, config: str, want: str
) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text(config)
    recipe = recipes.load(SHIPPED, (f"student.model={{name: 'transformers:{tmp_path}/m'}}",))
    with pytest.raises(InputError, match=f"student.model: .*{want}"):
        pretrained_models.settle_models(recipe, options(tmp_path, dry=True))


def test_without_leave_one_line_says_what_is_missing(tmp_path: Path) -> None:
    for dry in (False, True):
        with pytest.raises(MachineError, match=r"teacher.model: timm:resnet18: got no") as caught:
            planned(tmp_path, load(), dry=dry)
        assert REPOSITORY in str(caught.value) and caught.value.hint == "add --allow-download"
        assert caught.value.exit_code == 3


def test_a_run_that_is_foreseen_lists_what_it_would_fetch(tmp_path: Path) -> None:
    steps = planned(tmp_path, load(), dry=True, allow_download=True)
    assert "load-teacher" in steps
    allowed = options(tmp_path, allow_download=True)
    address = f"https://huggingface.co/{REPOSITORY}"
    assert pipeline.list_downloads(load(), allowed) == (address,)
    assert pipeline.list_downloads(load(), options(tmp_path)) == ()


def test_what_is_in_the_cache_is_pinned_and_needs_no_leave(tmp_path: Path, cache: Path) -> None:
    model_hub_example.fill_cache(cache, FILES)
    recipe = load()
    assert pipeline.list_downloads(recipe, options(tmp_path, allow_download=True)) == ()
    steps = planned(tmp_path, recipe)
    step = steps["load-teacher"]
    assert step.external["user_weights"].read_bytes() == b"weights"
    assert step.settings.file_name == "timm:resnet18"
    assert step.settings.classes == ("cat", "dog") and step.settings.for_training
    assert step.origin is not None
    assert model_hub_example.COMMIT in step.origin().values()
    assert any(name.endswith(REPOSITORY) for name in step.origin())
    assert steps["data"].settings.published_mean == (0.1, 0.2, 0.3)
    assert steps["data"].settings.published_std == (0.4, 0.5, 0.6)
    assert steps["teacher"].settings.model.expects == Input(channels=3)
    assert steps["teacher"].takes["start_weights"][0] == "load-teacher"


def test_what_the_recipe_says_of_the_data_stands(tmp_path: Path, cache: Path) -> None:
    model_hub_example.fill_cache(cache, FILES)
    steps = planned(tmp_path, load("data.mean=[0.5]", "teacher.train.epochs=1"))
    assert steps["data"].settings.mean == (0.5,) and steps["data"].settings.std is None


def test_a_student_begins_with_them_too_and_so_does_its_control(
    tmp_path: Path, cache: Path
) -> None:
    model_hub_example.fill_cache(cache, FILES)
    recipe = recipes.load(SHIPPED, [f"student.model={PRETRAINED}", "student.train.freeze=1"])
    steps = planned(tmp_path, recipe)
    loaded = steps["student"]
    assert loaded.stage.name == "load" and loaded.settings.for_training
    for label in ("control", "distil"):
        assert steps[label].takes["start_weights"] == ("student", "weights.safetensors")


def test_a_name_on_the_hub_wants_its_configuration_even_untrained(
    tmp_path: Path, cache: Path
) -> None:
    recipe = recipes.load(SHIPPED, [f"student.model=timm:hf-hub:{REPOSITORY}"])
    with pytest.raises(MachineError, match=r"student.model: timm:hf-hub:timm/resnet18.a1: got no"):
        planned(tmp_path, recipe)
    model_hub_example.fill_cache(cache, FILES)
    steps = planned(tmp_path, recipe)
    assert "student" not in steps and steps["data"].settings.published_mean is None


@pytest.mark.parametrize(
    ("override", "want"),
    [
        (
            "student.model={name: resnet8, pretrained: true}",
            "student.model: pretrained: got it for",
        ),
        ("student.model={name: timm:resnet18, pretrained: 3}", "pretrained: got 3, want true or"),
        ("teacher.weights=w.pt", "got weights beside a model that is pretrained"),
    ],
)
def test_what_cannot_be_pretrained(override: str, want: str) -> None:
    with pytest.raises(InputError, match=want):
        load(override)


def test_a_model_without_files_is_left_alone(tmp_path: Path) -> None:
    recipe = recipes.load(SHIPPED)
    assert pretrained_models.settle_models(recipe, options(tmp_path)) is recipe


def test_it_is_written_as_it_was_said() -> None:
    recipe = load()
    written = recipe_text.parse(writing.format_recipe(recipe), ".yaml", "written")
    assert recipes.validate(written) == recipe


def test_the_commit_is_in_the_lineage(tmp_path: Path, cache: Path) -> None:
    model_hub_example.fill_cache(cache, FILES)
    step = planned(tmp_path, load())["load-teacher"]
    assert step.origin is not None
    made = CreationTime("2026-01-02T03:04:05Z", 1.0)
    entry = StoreEntry("0" * 64, {"origin": step.origin()}, {}, made)
    assert closing._traced(entry)["commits"] == {REPOSITORY: model_hub_example.COMMIT}
