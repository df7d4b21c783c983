"""The verbs of a single job, in their words."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from edgekd import cli


@pytest.mark.parametrize("verb", ["quantize", "prune", "distil", "export"])
def test_each_says_that_it_writes_a_recipe(verb: str) -> None:
    done = CliRunner().invoke(cli.main, [verb, "--help"])
    assert done.exit_code == 0 and "recipe" in done.output and "--dry-run" in done.output
    assert done.output.count("--data") >= 1
