"""Every number that is stored says by which command it was made."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "edgekd")
WRITTEN_BY_HAND = {
    "benchmarks/mutants/equivalent.json",  # mutants that change nothing, each with the reason
    "benchmarks/quantization/peers/olive_static.json",  # Olive's configuration
}


def list_stored() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--", *(f"{folder}/**.json" for folder in FOLDERS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a clone: git does not know which files are stored")
    return listed.stdout.split()


def names_command(value: Any) -> bool:
    """A command of its own or one of each of its parts, or the recipe that `edgekd compress` was given."""
    if not isinstance(value, dict) or not value:
        return False
    said = value.get("command") or value.get("commands")
    if said:
        return all(isinstance(each, str) for each in ([said] if isinstance(said, str) else said))
    if value.get("recipe") and value.get("recipe_digest"):
        return True
    return all(isinstance(part, dict) and part.get("command") for part in value.values())


def test_every_stored_number_names_its_command() -> None:
    found = [path for path in list_stored() if path not in WRITTEN_BY_HAND]
    assert len(found) > 80
    silent = [path for path in found if not names_command(json.loads((ROOT / path).read_bytes()))]
    assert not silent


def test_scripts_that_a_command_names_are_there() -> None:
    for path in list_stored():
        value = json.loads((ROOT / path).read_bytes())
        said = value.get("command", "") if isinstance(value, dict) else ""
        for word in said.replace(";", " ").replace(",", " ").split():
            if word.startswith("benchmarks/") and word.endswith(".py"):
                assert (ROOT / word).is_file(), f"{path}: {word}"
