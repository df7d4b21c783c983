"""The README's commands exist, its recipes load and its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from edgekd import cli
from edgekd import recipe
from edgekd.recipe import text as recipe_text

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = ("README.md", "benchmarks/README.md")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.split("#")[0].strip()
    for _, block in BLOCKS
    for line in block.splitlines()
    if line.startswith("edgekd ")
]
RECIPES = [block for kind, block in BLOCKS if kind == "yaml"]


@pytest.mark.parametrize("line", COMMANDS)
def test_the_options_of_a_command_of_the_readme_exist(line: str) -> None:
    done = CliRunner().invoke(cli.main, [*shlex.split(line)[1:], "--help"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("text", RECIPES)
def test_a_recipe_of_the_readme_loads_in_a_whole_one(text: str) -> None:
    whole = yaml.safe_load((ROOT / "pipelines" / "quickstart.yaml").read_text())
    merged = yaml.safe_dump({**whole, **yaml.safe_load(text)})
    recipe.validate(recipe_text.parse(merged, ".yaml", "README.md"))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page: str) -> None:
    places = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text())
    assert len(places) > 5
    assert not [place for place in places if not (ROOT / page).parent.joinpath(place).exists()]
