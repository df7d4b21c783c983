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


def test_texts_are_spooled_for_the_source_that_reads_them(tmp_path: Path) -> None:
    path, folder = tmp_path / "t.jsonl", tmp_path / "out"
    lines = [{"text": f"a text {n}", "label": "ab"[n % 2]} for n in range(12)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = run(f"{{name: jsonl, reference: {path}, longest: 8}}", folder).stdout
    assert said == f"{folder}: 12 samples in 1 shard; data: {{source: jsonl:{folder}}}\n"
    shown = CliRunner().invoke(cli.main, ["sources", f"jsonl:{folder}"]).stdout
    assert "12 texts of 2 classes" in shown and "cut to 8 bytes" in shown
    wrong = run(f"{{name: jsonl, reference: {path}, longer: 8}}", folder)
    assert isinstance(wrong.exception, InputError) and "longer" in str(wrong.exception)
