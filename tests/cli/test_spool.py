"""The verb writes shards, says what a recipe needs, and refuses an endless stream in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from click.testing import Result

from edgekd import cli
from edgekd.errors import InputError

FRAMES = """
import itertools
import numpy as np

def frames():
    for number in itertools.count():
        yield np.full((8, 8, 3), number, np.uint8), number % 2
"""


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(cli.main, ["spool", *map(str, arguments)])


def test_an_endless_function_is_spooled_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spooled_frames.py").write_text(FRAMES)
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "out"
    order = "python:spooled_frames:frames", folder, "--allow-code"
    refused = run(*order)
    assert isinstance(refused.exception, InputError) and "want --take N" in str(refused.exception)
    assert not folder.exists()
    said = run(*order, "--take", 6).stdout
    assert said == f"{folder}: 6 samples in 1 shard; data: {{source: webdataset:{folder}}}\n"
    again = json.loads(run(*order, "--take", 6, "--json").stdout)
    assert again["samples"] == 6 and len(again["shards"][0]["sha256"]) == 64
