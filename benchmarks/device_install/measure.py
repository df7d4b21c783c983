"""What a device must hold and wait for: an environment with the base install and onnxruntime, nothing else.

    python benchmarks/device_install/measure.py --bundle runs/quickstart/bundle --output benchmarks/device_install/result.json

`lean` is made as a device should make it: no pip inside (``venv --without-pip``, ``pip --python``) and no
bytecode written before it is used (``--no-compile``); `plain` as people do. Seconds are wall time of whole
commands, start of Python included, files in the page cache; `compiled` is `lean` after they have run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
COMMANDS = {
    "version": ["--version"],
    "verify": ["verify", "BUNDLE"],
    "first_figure": ["bench", "BUNDLE", "--processes", "1", "--json"],
}


def do(*order: object) -> str:
    done = subprocess.run([str(part) for part in order], check=True, capture_output=True, text=True)
    return done.stdout


def size_mb(folder: Path) -> float:
    """What the files take on the disk, in MB (10^6 bytes)."""
    return round(int(do("du", "-sB1", folder).split()[0]) / 1e6, 1)


def largest(packages: Path) -> dict[str, float]:
    sizes = {path.name: size_mb(path) for path in packages.iterdir() if path.is_dir()}
    return dict(sorted(sizes.items(), key=lambda item: -item[1])[:10])


def bytecode_mb(folder: Path) -> float:
    return round(sum(path.stat().st_size for path in folder.rglob("*.pyc")) / 1e6, 1)


def environments(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Both environments; gives the lean one and the sizes."""
    wheels = folder / "wheels"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    do(*pip, "wheel", "--no-deps", "--wheel-dir", wheels, ROOT)
    (wheel,) = wheels.glob("edgekd-*.whl")
    wanted = ["--constraint", ROOT / "constraints.txt", wheel, "onnxruntime"]
    lean, plain = folder / "lean", folder / "plain"
    do(sys.executable, "-m", "venv", "--without-pip", lean)
    do(*pip, "--python", lean / "bin" / "python", "install", "--no-compile", *wanted)
    do(sys.executable, "-m", "venv", plain)
    do(plain / "bin" / "pip", "install", "--quiet", *wanted)
    packages = next((lean / "lib").glob("python*/site-packages"))
    return lean, {
        "lean_mb": size_mb(lean),
        "plain_mb": size_mb(plain),
        "plain_bytecode_mb": bytecode_mb(plain),
        "lean_largest_mb": largest(packages),
        "packages": sorted(
            path.name.removesuffix(".dist-info") for path in packages.glob("*.dist-info")
        ),
    }


def seconds(lean: Path, bundle: Path, rounds: int) -> dict[str, Any]:
    """Every command `rounds` times, after one run that fills the page cache and writes bytecode."""
    found = {}
    for name, arguments in COMMANDS.items():
        order = [lean / "bin" / "edgekd", *(str(bundle) if a == "BUNDLE" else a for a in arguments)]
        times = []
        for _ in range(rounds + 1):
            started = time.perf_counter()
            do(*order)
            times.append(time.perf_counter() - started)
        found[name] = {
            "first": round(times[0], 2),
            "median": round(statistics.median(times[1:]), 2),
            "max": round(max(times[1:]), 2),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        lean, told = environments(Path(folder))
        told["seconds"] = seconds(lean, asked.bundle.resolve(), asked.rounds)
        told["lean_compiled_mb"] = size_mb(lean)
        imports = do(
            lean / "bin" / "python", "-c", "import importlib.util as u; print(u.find_spec('torch'))"
        )
        assert imports.strip() == "None"
    told = {"command": "python benchmarks/device_install/measure.py", **told}
    text = json.dumps(told, indent=2)
    print(text)
    if asked.output:
        asked.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
