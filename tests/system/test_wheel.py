"""What ships is what is tested: the wheel, alone in an environment with only what it asks for.

The environment's packages are links to this one's, so that nothing is fetched; but only those that the
wheel's own metadata names are there. `benchmarks/install` does the same with pip, newest and oldest.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution
from importlib.metadata import PathDistribution
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.system.conftest import ROOT
from tests.system.conftest import SMALL


def tracked(*patterns: str) -> list[str]:
    """The files that git tracks under these paths, and that are there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, check=True, text=True
    )
    return sorted(name for name in listed.stdout.split("\0") if name and (ROOT / name).exists())


def required(root: Distribution, extras: set[str]) -> Iterator[Distribution]:
    """The distributions that `root` with `extras` needs here, itself not among them."""
    reached: set[tuple[str, str]] = set()
    open_requests = [(root, extra) for extra in ("", *sorted(extras))]
    while open_requests:
        owner, extra = open_requests.pop()
        for line in owner.requires or ():
            wanted = Requirement(line)
            if wanted.marker and not wanted.marker.evaluate({"extra": extra}):
                continue
            name = wanted.name.lower().replace("_", "-")
            dependency = root if name == root.name else distribution(wanted.name)
            for more in ("", *wanted.extras):
                if (name, more) in reached:
                    continue
                reached.add((name, more))
                open_requests.append((dependency, more))
                if not more and dependency is not root:
                    yield dependency


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by way of the source distribution from what git tracks."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in tracked():
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / "source" / name)
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(folder / "source")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    (path,) = folder.glob("*.whl")
    return path


def installed(wheel: Path, folder: Path, extras: set[str]) -> Path:
    """The command `edgekd` of a new environment with the wheel and what these extras name."""
    venv.create(folder, symlinks=True, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    command = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install"]
    command += ["--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    (metadata,) = packages.glob("edgekd-*.dist-info")
    for dependency in required(PathDistribution(metadata), extras):
        for top in {file.parts[0] for file in dependency.files or () if ".." not in file.parts}:
            source = Path(str(dependency.locate_file(top)))
            if source.exists() and not (packages / top).exists() and top != "__pycache__":
                (packages / top).symlink_to(source)
    return folder / "bin" / "edgekd"


def run(command: Path, *arguments: str, folder: Path, code: int = 0) -> str:
    """What the installed command prints, run outside the clone; `code` is how it must end."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment = {**kept, "OMP_NUM_THREADS": "1", "EDGEKD_HOME": str(folder / "home")}
    ran = subprocess.run(
        [command, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == code, ran.stdout[-2000:] + ran.stderr[-2000:]
    return ran.stdout


def test_the_wheel_holds_what_git_tracks(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = sorted(n for n in archive.namelist() if n.startswith("edgekd/"))
    assert held == tracked("edgekd")


@pytest.fixture(scope="module")
def bundle(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the quickstart's recipe, shortened, ends with where only the wheel and its extras are."""
    folder = tmp_path_factory.mktemp("outside")
    command = installed(wheel, folder / "environment", {"learn", "openvino"})
    shutil.copyfile(ROOT / "pipelines" / "quickstart.yaml", folder / "recipe.yaml")
    short = ('targets=[{"runtime": "openvino", "precision": ["fp32"]}]', "student.train.epochs=1")
    sets = [part for text in (*SMALL, *short) for part in ("--set", text)]
    run(command, "compress", "recipe.yaml", "--store", "store", *sets, folder=folder)
    assert "openvino" in run(command, "doctor", folder=folder)
    return folder / "runs" / "quickstart" / "bundle"


@pytest.mark.parametrize("extras", [{"onnxruntime"}, {"openvino"}], ids=lambda e: "".join(e))
def test_a_board_needs_the_base_install_and_an_engine(
    wheel: Path, bundle: Path, extras: set[str], tmp_path: Path
) -> None:
    command = installed(wheel, tmp_path / "environment", extras)
    assert json.loads(run(command, "schema", folder=tmp_path))
    assert "golden answers" in run(command, "verify", str(bundle), folder=tmp_path)
    quick = ["--processes", "2", "--budget", "10", "--json"]
    measured = json.loads(run(command, "bench", str(bundle), *quick, folder=tmp_path))
    assert measured["schema"].startswith("edgekd.bench/")
