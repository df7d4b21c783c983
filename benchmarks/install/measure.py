"""Does an installed edgekd work with the oldest and the newest packages that setup.cfg allows?

    python benchmarks/install/measure.py lowest-direct|highest [--override torch==2.13.0+cpu] [-- PYTEST ARGS]

Builds the wheel, installs it with the extras of `make test` into an empty environment by uv (which knows both
ways to choose), copies all but the package to another folder and runs the system tests there: what they
import and start is the installed one. The result goes to `benchmarks/install/RESOLUTION.json`.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXTRAS = "learn,openvino,onnxruntime,report,predict,sign,hub,prune,private"
TOOLS = ("pytest>=8.2", "pytest-xdist>=3.5", "hypothesis>=6.100", "jsonschema>=4.20", "build>=1.2")
LEFT_OUT = ("edgekd", ".git", ".venv", "runs", "build", "dist")
SHOWN = ("torch", "numpy", "onnx", "onnxruntime", "openvino", "pydantic", "click", "transformers")


def run(*command: str, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("resolution", choices=["lowest-direct", "highest"])
    parser.add_argument("--override", action="append", default=[])
    parser.add_argument("--tests", nargs="*", default=["tests/system"])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(sys.executable, "-m", "build", "--wheel", "--outdir", name, str(ROOT), folder=folder)
        (wheel,) = folder.glob("*.whl")
        run("uv", "venv", "environment", folder=folder)
        python = folder / "environment" / "bin" / "python"
        (folder / "overrides.txt").write_text("\n".join(asked.override))
        began_s = time.monotonic()
        run(
            *("uv", "pip", "install", "--python", str(python), "--resolution", asked.resolution),
            *("--override", "overrides.txt", f"{wheel}[{EXTRAS}]", *TOOLS),
            folder=folder,
        )
        install_s = time.monotonic() - began_s
        outside = folder / "outside"
        shutil.copytree(ROOT, outside, ignore=lambda _, names: set(names) & set(LEFT_OUT))
        frozen = run("uv", "pip", "freeze", "--python", str(python), folder=folder).splitlines()
        ran = subprocess.run(
            [
                python,
                "-m",
                "pytest",
                "-q",
                "--deselect",
                "tests/system/test_wheel.py",
                *asked.tests,
            ],
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
        "last_line": re.sub(r"\x1b\[[0-9;]*m", "", (ran.stdout.strip().splitlines() or [""])[-1]),
        "install_seconds": round(install_s),
        "versions": {name: versions[name] for name in SHOWN if name in versions},
    }
    (HERE / f"{asked.resolution}.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
