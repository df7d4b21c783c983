from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from edgekd import cli
from edgekd.cli import completion


@pytest.mark.parametrize("shell", list(completion.WAYS))
def test_each_shell_gets_its_script(shell: str) -> None:
    script = CliRunner().invoke(cli.main, ["completion", shell]).stdout
    assert "_EDGEKD_COMPLETE" in script and f"{shell}_complete" in script


def test_without_a_shell_the_lines_to_paste() -> None:
    assert CliRunner().invoke(cli.main, ["completion"]).stdout.splitlines() == [
        *completion.WAYS.values()
    ]


def test_bash_takes_the_script() -> None:
    script = CliRunner().invoke(cli.main, ["completion", "bash"]).stdout
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize(
    ("words", "want"),
    [("edgekd comp", "plain,compress\nplain,completion\n"), ("edgekd store v", "plain,verify\n")],
)
def test_what_bash_asks_is_answered(words: str, want: str) -> None:
    environment = {
        **os.environ,
        "_EDGEKD_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    code = "from edgekd.cli import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.stdout == want
