"""Verbs of a single job write a recipe, say where, and run it as compress does."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from click.testing import Result

import edgekd
from edgekd import cli
from edgekd import recipe as recipes
from edgekd.errors import InputError
from edgekd.recipe import Recipe
from edgekd.stages.data import digest_source
from tests.cli.test_compress import FakePipeline

QUANTIZE = (
    "quantize",
    "{name: resnet8, base: 4}",
    "--weights",
    "w/a.safetensors",
    "--data",
    "digits",
)


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakePipeline:
    fake = FakePipeline()
    monkeypatch.setattr(edgekd, "pipeline", fake, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEKD_HOME", str(tmp_path / "home"))
    for name in ("runs", "w"):
        (tmp_path / name).mkdir()
    (tmp_path / "w" / "a.safetensors").write_bytes(b"")
    return fake


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


def test_the_recipe_lies_beside_its_run_and_is_the_one_that_runs(pipeline: FakePipeline) -> None:
    done = run(*QUANTIZE, "--set", "seed=3", "--target", "openvino", "--allow-code")
    assert done.exit_code == 0, done.output
    recipe, path, options, _ = pipeline.called
    assert path == Path("runs/quantize-resnet8.yaml") and f"recipe: {path}" in done.stderr
    assert recipes.load(path) == recipe and recipe.seed == 3
    assert recipe.student.weights == "../w/a.safetensors"
    assert options.run_dir == Path("runs/quantize-resnet8") and options.allow_code
    assert options.overrides == ()  # all that was said stands in the file
    first = path.read_text().splitlines()[0]
    assert first.startswith(
        "# Written by edgekd quantize; edgekd compress runs/quantize-resnet8.yaml"
    )


def test_a_name_and_a_folder(pipeline: FakePipeline) -> None:
    done = run(
        "distil",
        "resnet8",
        "--teacher",
        "resnet20",
        "--data",
        "digits",
        "--name",
        "mine",
        "-o",
        "out",
        "-q",
    )
    assert done.exit_code == 0, done.output
    recipe, path, options, _ = pipeline.called
    assert (recipe.name, path, options.run_dir) == ("mine", Path("out.yaml"), Path("out"))
    assert "recipe:" not in done.stderr


def test_what_the_verb_wrote_is_replaced_and_nothing_else(pipeline: FakePipeline) -> None:
    assert run(*QUANTIZE, "-o", "a").exit_code == 0
    assert (
        run("prune", "resnet8", *QUANTIZE[2:], "--macs", "0.5", "--name", "x", "-o", "b").exit_code
        == 0
    )
    Path("c.yaml").write_text(yaml.safe_dump({"name": "mine"}))
    done = run(*QUANTIZE, "-o", "c")
    assert isinstance(done.exception, InputError) and "edgekd quantize did not write it" in str(
        done.exception
    )
    assert Path("c.yaml").read_text() == "name: mine\n"


def test_a_recipe_that_was_changed_by_hand_stays(pipeline: FakePipeline) -> None:
    first = Path("runs/quantize-resnet8.yaml")
    for seed in ("1", "2"):  # nothing was run: it is written anew
        run(*QUANTIZE, "--set", f"seed={seed}", "--dry-run")
    assert recipes.load(first).seed == 2
    first.write_text(first.read_text() + "# mine\n")
    assert run(*QUANTIZE, "--set", "seed=3").exit_code == 0
    _, path, options, _ = pipeline.called
    assert path == Path("runs/quantize-resnet8-2.yaml")
    assert options.run_dir == Path("runs/quantize-resnet8-2")
    assert first.read_text().endswith("# mine\n") and recipes.load(first).seed == 2
    done = run(*QUANTIZE, "-o", "runs/quantize-resnet8")
    assert isinstance(done.exception, InputError) and "changed since" in str(done.exception)


def test_the_recipe_of_a_finished_run_stays(pipeline: FakePipeline) -> None:
    assert run(*QUANTIZE, "-o", "a").exit_code == 0
    kept = Path("a.yaml").read_text()
    done = run(*QUANTIZE, "-o", "a", "--set", "seed=2")
    assert isinstance(done.exception, InputError) and "the run that stands" in str(done.exception)
    assert done.exception.hint == "another --run-dir, or --replace"
    assert Path("a.yaml").read_text() == kept
    done = run(*QUANTIZE, "-o", "a", "--set", "seed=3", "--replace")
    assert done.exit_code == 0 and pipeline.called[0].seed == 3 and pipeline.called[2].replace
    assert run(*QUANTIZE).exit_code == run(*QUANTIZE, "--set", "seed=2").exit_code == 0
    assert pipeline.called[2].run_dir == Path("runs/quantize-resnet8-2")


def test_files_are_named_from_where_the_recipe_lies(pipeline: FakePipeline) -> None:
    Path("w/net.onnx").write_bytes(b"")
    done = run(
        "quantize", "w/net.onnx", "--data", "arrays:samples.npz", "--dry-run", "-o", "deep/er/run"
    )
    recipe = recipes.load(Path("deep/er/run.yaml"))
    assert recipe.student.model.arguments["reference"] == "../../w/net.onnx", done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("quantize", "resnet9", "--data", "digits", "--weights", "w/a.safetensors"),
            "^quantize: student.model: got unknown model 'resnet9'",
        ),
        (("quantize", "{depth: 8}", "--data", "digits"), "want a name, or {name: NAME"),
        (("prune", "resnet8", "--data", "digits"), "want exactly one of --speedup"),
        (
            ("distil", "resnet8", "--teacher", "resnet20", "--data", "digit"),
            "unknown data source 'digit'|unknown source",
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    pipeline: FakePipeline, arguments: tuple[str, ...], message: str
) -> None:
    import re

    done = run(*arguments)
    assert isinstance(done.exception, InputError) and re.search(message, str(done.exception)), (
        done.exception
    )
    assert not list(Path("runs").iterdir())


def test_a_hint_of_the_recipe_is_given_as_the_option_of_the_verb(
    pipeline: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := Path("photos/cat")).mkdir(parents=True)
    (folder / "a.tif").touch()
    (folder / "b.png").touch()

    def refuse(recipe: Recipe, *rest: object) -> None:
        digest_source(recipe.data)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "compress", refuse)
    done = run("quantize", "resnet8", *QUANTIZE[2:5], "image-folder:photos")
    assert isinstance(done.exception, InputError) and "a.tif" in str(done.exception)
    said = "'{name: image-folder, reference: photos, on_broken: skip}'"
    assert done.exception.hint == f"--data {said} leaves out and lists what is broken"
