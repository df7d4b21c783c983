"""Each profile's accuracy where it is meant to run: the same files on this machine, on AVX2 alone, on ARM64.

    python benchmarks/boards/profiles.py FOLDER --arm64 ROOT --output benchmarks/boards/profiles.json

FOLDER holds one ``<profile>.onnx`` and ``<profile>.npy`` a profile (the fake-quantized torch model's logits
[N, classes]), and ``inputs.npy`` [N, C, H, W] and ``labels.npy``. The AVX2 CPU is `qemu-x86_64-static -cpu
Haswell` with this Python; ARM64 is a Debian root with an environment in which onnxruntime is installed
(tests/system/boards/arm64.sh makes one), entered by chroot under qemu.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 50
CPU = "Haswell,-pcid,-x2apic,-tsc-deadline,-hle,-rtm,-invpcid"


def answer(folder: Path, goal: Path) -> None:
    """Logits of every profile; run by the emulated Pythons too, so numpy and onnxruntime are all it needs."""
    import onnxruntime

    inputs = np.load(folder / "inputs.npy")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    told = {}
    for path in sorted(folder.glob("*.onnx")):
        run = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        parts = [inputs[at : at + BATCH] for at in range(0, len(inputs), BATCH)]
        told[path.stem] = np.concatenate([run.run(None, {"images": part})[0] for part in parts])
    np.savez(goal, **told)


def on_haswell(folder: Path) -> dict[str, np.ndarray]:
    script = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        f"sys.argv = ['x', {str(folder)!r}, '--answer', {str(folder / 'haswell.npz')!r}]\n"
        f"exec(open({__file__!r}).read())"
    )
    python = str(Path(sys.executable).resolve())
    command = ["qemu-x86_64-static", "-cpu", CPU, python, "-c", script]
    subprocess.run(command, check=True)
    return dict(np.load(folder / "haswell.npz"))


def on_arm64(folder: Path, root: Path, python: str) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory(dir=root / "tmp") as inside:
        here = Path(inside)
        for path in (*folder.glob("*.onnx"), folder / "inputs.npy", Path(__file__)):
            shutil.copy(path, here)
        seen = f"/tmp/{here.name}"
        command = ["chroot", str(root), python, f"{seen}/{Path(__file__).name}", seen]
        subprocess.run([*command, "--answer", f"{seen}/arm64.npz"], check=True)
        return dict(np.load(here / "arm64.npz"))


def row(told: np.ndarray, want: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    return {
        "accuracy": float((told.argmax(1) == labels).mean()),
        "points_from_torch": 100
        * float((told.argmax(1) == labels).mean() - (want.argmax(1) == labels).mean()),
        "top1_agreement_with_torch": float((told.argmax(1) == want.argmax(1)).mean()),
        "largest_logit_difference": float(np.abs(told - want).max()),
        "rms_logit_difference": float(np.sqrt(np.square(told - want).mean())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--arm64", type=Path, help="root of an ARM64 system")
    parser.add_argument("--arm64-python", default="/opt/venv/bin/python")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.answer:
        answer(asked.folder, asked.answer)
        return
    folder = asked.folder.resolve()
    labels = np.load(folder / "labels.npy")
    answer(folder, folder / "here.npz")
    machines = {
        "this machine": dict(np.load(folder / "here.npz")),
        "AVX2 alone": on_haswell(folder),
    }
    if asked.arm64:
        machines["ARM64"] = on_arm64(folder, asked.arm64, asked.arm64_python)
    wanted = {path.stem: np.load(folder / f"{path.stem}.npy") for path in folder.glob("*.onnx")}
    result = {
        "command": "python benchmarks/boards/profiles.py FOLDER --arm64 ROOT",
        "samples": len(labels),
        "torch": {name: float((want.argmax(1) == labels).mean()) for name, want in wanted.items()},
        "machines": {
            machine: {name: row(logits, wanted[name], labels) for name, logits in told.items()}
            for machine, told in machines.items()
        },
    }
    text = json.dumps(result, indent=2) + "\n"
    print(text)
    if asked.output:
        asked.output.write_text(text)


if __name__ == "__main__":
    main()
