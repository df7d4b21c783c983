"""The commands of the README and of the documentation exist, their recipes load and their links lead somewhere."""

from __future__ import annotations

import math
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner

import edgekd
from edgekd import cli
from edgekd import pipeline
from edgekd import recipe
from edgekd.gating import policy
from edgekd.recipe import text as recipe_text
from tests.sweep.test_runner import FakeRuns
from tests.system.conftest import SMALL
from tests.system.conftest import Place

ROOT = Path(__file__).parents[2]
DOCS = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))
TEXTS = {page: (ROOT / page).read_text() for page in ("README.md", *DOCS)}
PAGES = ("README.md", "docs/guide.md", "benchmarks/README.md")
BLOCKS = [
    block
    for text in TEXTS.values()
    for block in re.findall(r"```(\w*)[^\n]*\n(.*?)```", text, re.DOTALL)
]
COMMANDS = [
    line.split("#")[0].strip()
    for _, block in BLOCKS
    for line in block.splitlines()
    if line.startswith("edgekd ")
]
SETTINGS = [block for kind, block in BLOCKS if kind == "yaml"]
POLICIES = [block for block in SETTINGS if block.startswith("# gates.yaml")]
RECIPES = [block for block in SETTINGS if block not in POLICIES]
CORPUS, PAIRS = (
    next(block for block in RECIPES if f"task: {task}" in block)
    for task in ("language-modelling", "sentence-embedding")
)
OWN_LOSS, COMPRESS, MODULES, SWEEP, MASKED_LOSS = (
    block for kind, block in BLOCKS if kind == "python"
)


@pytest.mark.parametrize("line", COMMANDS)
def test_the_options_of_a_shown_command_exist(line: str) -> None:
    done = CliRunner().invoke(cli.main, [*shlex.split(line)[1:], "--help"])
    assert done.exit_code == 0, done.output


def find_whole(part: str) -> str:
    """The recipe that a part of one belongs to: of its page on texts, else the quickstart's."""
    page = next(page for page, text in TEXTS.items() if part in text)
    if page not in ("docs/tutorials/texts.md", "docs/tutorials/teach-texts.md"):
        return (ROOT / "pipelines" / "quickstart.yaml").read_text()
    return PAIRS if "text-pairs" in part else CORPUS


@pytest.mark.parametrize("text", RECIPES)
def test_a_shown_recipe_loads_in_a_whole_one(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_losses.py").write_text(OWN_LOSS)
    monkeypatch.chdir(tmp_path)
    whole, shown = yaml.safe_load(find_whole(text)), yaml.safe_load(text)
    merged = text if "name" in shown else yaml.safe_dump({**whole, **shown})
    recipe.validate(recipe_text.parse(merged, ".yaml", "README.md"))


def test_the_loss_that_is_shown_is_right_by_hand() -> None:
    names: dict[str, Any] = {}
    exec(OWN_LOSS, names)  # noqa: S102
    teacher = torch.tensor([[4 * math.log(3), 0.0]])  # softened at 4: 3/4, 1/4
    assert names["overlap"](torch.zeros(1, 2), teacher, temperature=4.0).item() == pytest.approx(
        0.25
    )


def test_the_loss_with_a_mask_that_is_shown_is_right_by_hand() -> None:
    names: dict[str, Any] = {}
    exec(MASKED_LOSS, names)  # noqa: S102
    student = torch.tensor([[[1.0, 3.0], [0.0, 2.0], [9.0, 9.0]]])
    found = names["loudness"](student, torch.zeros(1, 3, 2), torch.tensor([[1, 1, 0]]))
    assert found.item() == pytest.approx((5 + 2) / 2)  # padding counts for nothing


def test_python_that_is_shown_runs(
    finished: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a recipe of a finished run, with so many epochs as that took: what is shown first trains nothing."""
    place = finished.copy_to(tmp_path)
    small = recipe_text.override(recipe_text.read(ROOT / "pipelines" / "quickstart.yaml"), SMALL)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(small.value))
    monkeypatch.setenv("EDGEKD_HOME", str(place.store))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"torch": torch}
    exec(COMPRESS.replace('"epochs": 10', '"epochs": 4'), names)  # noqa: S102
    assert names["result"].bundle == Path("runs/quickstart/bundle")
    teacher = names["edgekd"].load("runs/quickstart")
    rows = np.random.default_rng(0).random((32, 1, 8, 8), np.float32)
    images, labels = torch.from_numpy(rows), torch.arange(32) % 10
    names |= {
        "teacher": teacher,
        "loader": [(images[:16], labels[:16]), (images[16:], labels[16:])],
    }
    exec(MODULES, names)  # noqa: S102
    assert len(names["history"]) == 30 and list(Path("int8").iterdir())


def test_the_sweep_that_is_shown_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its runs are made up: what they cost is measured in `benchmarks/sweep`."""
    runs = FakeRuns()
    monkeypatch.setattr(pipeline, "compress", runs)
    monkeypatch.setenv("EDGEKD_HOME", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    free = recipe_text.override(
        recipe_text.read(ROOT / "pipelines" / "quickstart.yaml"), ["budget={}"]
    )
    Path("recipe.yaml").write_text(yaml.safe_dump(free.value))
    names: dict[str, Any] = {"edgekd": edgekd}
    exec(SWEEP, names)  # noqa: S102
    assert runs.calls == [(base, seed) for base in (8, 16) for seed in (0, 1, 2)] + [(16, 0)]
    assert names["result"].document.recipe


@pytest.mark.parametrize("text", POLICIES)
def test_a_shown_policy_loads(text: str, tmp_path: Path) -> None:
    (tmp_path / "gates.yaml").write_text(text)
    assert policy.load(tmp_path / "gates.yaml")


def test_the_readme_links_to_headings_of_the_guide_that_exist() -> None:
    readme, guide = TEXTS["README.md"], TEXTS["docs/guide.md"]
    headings = re.findall(r"^#{2,3} (.+)$", guide, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", name.lower()).replace(" ", "-") for name in headings}
    linked = re.findall(r"\]\(docs/guide\.md#([^)]+)\)", readme)
    assert len(linked) > 5
    assert set(linked) <= anchors


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page: str) -> None:
    places = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text())
    assert len(places) > 5
    assert not [place for place in places if not (ROOT / page).parent.joinpath(place).exists()]
