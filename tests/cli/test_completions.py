"""What a shell is offered, asked by click's own completion."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from edgekd import cli
from edgekd import recipe as recipes
from edgekd.cli import completions
from edgekd.learn.data import SOURCES
from edgekd.learn.losses import LOSSES
from edgekd.learn.models import MODELS
from edgekd.recipe import Recipe
from edgekd.runtimes import RUNTIMES


def offered(line: str, incomplete: str = "") -> list[str]:
    asked = ShellComplete(cli.main, {}, "edgekd", "_EDGEKD_COMPLETE")
    return [item.value for item in asked.get_completions(line.split(), incomplete)]


def test_names_of_members() -> None:
    assert set(LOSSES) <= set(offered("methods")) and offered("methods", "fitne") == ["fitnet"]
    assert offered("models") == list(MODELS)
    assert "segmentation" in offered("tasks")
    assert offered("sources", "dig")[:1] == ["digits"] and set(offered("sources")) == set(SOURCES)
    for line in ("verify x --runtime", "bench x --runtime", "predict x --runtime"):
        assert offered(line) == list(RUNTIMES)
    assert offered("export x --to") == ["torch", "onnx", *RUNTIMES]
    assert offered("compress x --device", "loc") == ["local"]
    assert offered("", "comp") == ["compress", "completion"]
    assert offered("no-verb", "comp") == ["compress", "completion"]  # and no error in a prompt


def test_keys_of_a_recipe_are_those_that_a_recipe_takes() -> None:
    found = offered("compress x --set")
    for key in ("seed=", "student.train.epochs=", "budget.score_drop=", "data.source="):
        assert key in found
    for key in ("learn.0.losses.0.weight=", "targets.0.precision=", "student.model="):
        assert key in found
    assert len(found) == len(set(found)) and all(key.endswith("=") for key in found)
    assert set(offered("compress x --set", "student.train.")) == {
        key for key in found if key.startswith("student.train.")
    }
    texts = dict(completions.list_keys(Recipe))
    assert texts["student.train.batch_size"].startswith("Samples a step")


def test_no_offered_key_is_unknown_to_a_recipe(tmp_path: Path) -> None:
    """Each is refused for its value at most."""
    quickstart = Path(__file__).parents[2] / "pipelines" / "quickstart.yaml"
    for key, _ in completions.list_keys(Recipe):
        if key.startswith(("learn.", "synthesis")) or ".views." in key:
            continue  # which keys there are depends on the step, and on what is left out
        try:
            recipes.load(quickstart, [f"{key}=[[]]"])
        except recipes.recipe_text.InputError as error:
            assert "unknown key" not in str(error), key


def test_runs_and_where_there_are_none_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("runs/a", "runs/b-2", "runs/nothing", "own"):
        (tmp_path / name).mkdir(parents=True)
        if name != "runs/nothing":
            (tmp_path / name / "result.json").write_text("{}")
    for verb in (
        "verify",
        "report",
        "bundle",
        "gate",
        "diff",
        "export",
        "bench",
        "predict",
        "push",
    ):
        assert offered(verb) == ["own", "runs/a", "runs/b-2"], verb
        assert offered(verb, "runs/b") == ["runs/b-2"]
    asked = ShellComplete(cli.main, {}, "edgekd", "_EDGEKD_COMPLETE")
    (item,) = asked.get_completions(["verify"], "bundle")
    assert (item.type, item.value) == ("file", "bundle")
    assert offered("diff runs/a", "runs/b") == ["runs/b-2"]


@pytest.mark.parametrize(
    ("shell", "environment", "want"),
    [
        ("bash", {"COMP_WORDS": "edgekd methods fitne", "COMP_CWORD": "2"}, "plain,fitnet\n"),
        ("zsh", {"COMP_WORDS": "edgekd methods fitne", "COMP_CWORD": "2"}, "plain\nfitnet\n_\n"),
        ("fish", {"COMP_WORDS": "edgekd methods fitne", "COMP_CWORD": "fitne"}, "plain,fitnet\n"),
    ],
)
def test_every_shell_is_answered(shell: str, environment: dict[str, str], want: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from edgekd.cli import run; run()"],
        env={**os.environ, "_EDGEKD_COMPLETE": f"{shell}_complete", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith(want), (done.stdout, done.stderr)
