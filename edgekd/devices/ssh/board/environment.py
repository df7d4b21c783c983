"""Makes the private environment a worker runs in; itself run on the device as a worker.

``python -m edgekd.devices.ssh.board.environment`` reads ``{"packages", "index", "parent_pid"}`` on
stdin. Wheels lie under ``in/``; pip's own is run as it is, so the device needs none. The environment is
made beside the old one and put in its place by the exchange of one link, so a worker finds the old one or
the new one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edgekd import files
from edgekd.device import IN

NO_PIP = (
    "pip is missing there: apt-get install python3-venv, or put pip's own wheel among the wheels"
)

PIP = "pip-*.whl"


def main() -> int:
    """Make it; one line of JSON on stdout, ``{"packages": [...]}`` or ``{"fault": text}``."""
    spec = json.load(sys.stdin)
    root = Path.cwd().parents[2]  # we run in <root>/jobs/<id>/room
    folder = root / f"venv-{time.time_ns()}"
    try:
        pip = _make(folder)
        _run([*pip, "install", *_options(spec), "--", *spec["packages"]])
        _exchange(root, folder)
    except subprocess.CalledProcessError as error:
        shutil.rmtree(folder, ignore_errors=True)
        print(json.dumps({"fault": _last_line(error.output)}))  # noqa: T201
        return 0
    print(json.dumps({"packages": spec["packages"]}))  # noqa: T201
    return 0


def _make(folder: Path) -> list[str]:
    """An environment of the base Python; how to call pip in it."""
    base = getattr(sys, "_base_executable", sys.executable)
    python = folder / "bin" / "python"
    wheels = sorted(Path(IN).glob(PIP))
    if wheels:
        _run([base, "-I", "-m", "venv", "--without-pip", str(folder)])
        return [str(python), str(wheels[-1].absolute() / "pip")]
    try:
        _run([base, "-I", "-m", "venv", str(folder)])
    except subprocess.CalledProcessError as error:
        raise subprocess.CalledProcessError(error.returncode, error.cmd, NO_PIP.encode()) from error
    return [str(python), "-I", "-m", "pip"]


def _options(spec: dict[str, Any]) -> list[str]:
    options = ["--no-input", "--disable-pip-version-check", "--no-cache-dir", "--quiet"]
    options.append("--only-binary=:all:")
    if set(Path(IN).glob("*.whl")) - set(Path(IN).glob(PIP)):
        return [*options, "--no-index", f"--find-links={Path(IN).absolute()}"]
    return [*options, f"--index-url={spec['index']}"] if spec["index"] else options


def _run(argv: list[str]) -> None:
    subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
    )


def _exchange(root: Path, folder: Path) -> None:
    link = root / "venv"
    fresh = files.temporary_in(root)
    fresh.symlink_to(folder.name)
    fresh.replace(link)
    for old in root.glob("venv-*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)


def _last_line(output: bytes | None) -> str:
    lines = (output or b"").decode(errors="replace").strip().splitlines()
    reported = [line for line in lines if line.startswith("ERROR")] or lines
    return (reported or ["no reason given"])[-1][:300]


if __name__ == "__main__":
    sys.exit(main())
