"""Does an installed edgekd work with the oldest and the newest packages that setup.cfg allows?

    python benchmarks/install/measure.py lowest-direct|highest [--override torch==2.13.0+cpu] [--tests FILE ...]

Builds the source distribution and from it the wheel, installs that with the extras of `make test` into an empty
environment by uv (which knows both ways to choose), copies all but the package to another folder and runs the
system tests there: what they import and start is the installed one. The result goes to
`benchmarks/install/RESOLUTION.json`, or where `--output` says. Exit code 1 if a test fails.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from email.parser import Parser
from pathlib import Path

from packaging.requirements import Requirement

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXTRAS = "learn,openvino,onnxruntime,report,predict,sign,hub,prune,private,huggingface,mlflow,tensorboard,sweep"
TOOLS = ("pytest", "pytest-xdist", "hypothesis", "jsonschema", "build", "packaging")
"""What runs the tests, in the versions of constraints.txt: they are not what is tried."""
LEFT_OUT = (".git", ".venv", "runs", "build", "dist")
PYTEST = ("-m", "pytest", "-q", "--deselect", "tests/system/test_wheel.py")
SHOWN = ("torch", "numpy", "onnx", "onnxruntime", "openvino", "pydantic", "click", "transformers")


def run(*command: str, folder: Path) -> str:
    """What a command prints; those beside this Python come first."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    return done.stdout


def requirements(wheel: Path) -> list[str]:
    """What the wheel and `EXTRAS` ask for, a line each, so that each is a direct request."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    wanted = map(Requirement, metadata.get_all("Requires-Dist", ()))
    lines = []
    for one in wanted:
        places = [{"extra": extra} for extra in ("", *EXTRAS.split(","))]
        if one.name != "edgekd" and (
            one.marker is None or any(one.marker.evaluate(place) for place in places)
        ):
            lines.append(f"{one.name}{one.specifier}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("resolution", choices=["lowest-direct", "highest"])
    parser.add_argument("--override", action="append", default=[])
    parser.add_argument("--tests", nargs="*", default=["tests/system"])
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outside = folder / "outside"
        shutil.copytree(ROOT, outside, ignore=lambda _, names: set(names) & set(LEFT_OUT))
        run(sys.executable, "-m", "build", "--outdir", name, str(outside), folder=folder)
        shutil.rmtree(outside / "edgekd")
        (wheel,) = folder.glob("*.whl")
        run("uv", "venv", "environment", folder=folder)
        python = folder / "environment" / "bin" / "python"
        (folder / "overrides.txt").write_text("\n".join(asked.override))
        began_s = time.monotonic()
        install = ("uv", "pip", "install", "--python", str(python))
        (folder / "requirements.txt").write_text("\n".join(requirements(wheel)))
        chosen = ("--resolution", asked.resolution, "--override", "overrides.txt")
        run(*install, *chosen, "--requirements", "requirements.txt", folder=folder)
        run(*install, "--no-deps", str(wheel), folder=folder)
        pins = str(ROOT / "constraints.txt")
        run(*install, "--constraint", pins, *TOOLS, folder=folder)
        install_s = time.monotonic() - began_s
        frozen = run("uv", "pip", "freeze", "--python", str(python), folder=folder).splitlines()
        ran = subprocess.run(
            [str(python), *PYTEST, *asked.tests],
            cwd=outside,
            capture_output=True,
            text=True,
            check=False,
        )
    print(ran.stdout[-3000:], ran.stderr[-1000:])
    versions = dict(line.split("==", 1) for line in frozen if "==" in line)
    result = {
        "command": " ".join(["python", "benchmarks/install/measure.py", *sys.argv[1:]]),
        "passed": ran.returncode == 0,
        "failed": re.findall(r"^FAILED (\S+)", ran.stdout, re.MULTILINE),
        "last_line": re.sub(r"\x1b\[[0-9;]*m", "", (ran.stdout.strip().splitlines() or [""])[-1]),
        "install_seconds": round(install_s),
        "versions": {name: versions[name] for name in SHOWN if name in versions},
    }
    output = asked.output or HERE / f"{asked.resolution}.json"
    output.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(ran.returncode)


if __name__ == "__main__":
    main()
