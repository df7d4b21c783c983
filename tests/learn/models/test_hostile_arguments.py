"""A recipe runs no code: builders are given hostile arguments where every socket, file and process is noted."""

from __future__ import annotations

import configparser
import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgekd.learn.models import MODELS
from edgekd.learn.models import timm
from edgekd.learn.models import transformers

ROOT = Path(__file__).parents[3]
FEW, MANY = 12, 500
"""Argument trees for each builder of other packages' models."""


@pytest.mark.parametrize(
    ("seed", "cases"), [(0, FEW), pytest.param(1, MANY, marks=pytest.mark.slow)]
)
def test_no_builder_touches_the_network_a_file_or_code(
    seed: int, cases: int, tmp_path: Path
) -> None:
    script = ROOT / "tests" / "hostile_example.py"
    command = [sys.executable, str(script), str(tmp_path), str(seed), str(cases)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr[-2000:]
    noted = json.loads(ran.stdout.splitlines()[-1])
    assert noted["events"] == [] and not noted["mark"]
    foreign = {"timm", "transformers"} & set(noted["installed"])
    # Not all was refused: else nothing would have been shown.
    own = MODELS.keys() - {"timm", "transformers", "python", "onnx"}
    assert all(noted["built"][name] for name in own)
    assert all(noted["built"][name] for name in foreign)


@pytest.mark.parametrize(
    ("extra", "name", "least"),
    [("hub", "transformers", transformers.LEAST_VERSION), ("timm", "timm", timm.LEAST_VERSION)],
)
def test_the_oldest_version_that_is_built_from_is_the_oldest_that_is_installed(
    extra: str, name: str, least: str
) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = setup["options.extras_require"][extra].split()
    assert f"{name}>={least}" in wanted
