"""How far int8 logits are off on x86 without VNNI, for full-range and 7-bit weights, and what `saturation.check_saturation` says.

    python benchmarks/boards/saturation.py FOLDER --output benchmarks/boards/saturation.json

Four small networks on Fashion-MNIST (20,000 images, 4 epochs) are quantized by onnxruntime's quantize_static
(QDQ, uint8 activations, per-channel int8 weights) with and without reduce_range, and answer 200 test images on
this machine, which must have VNNI, and on `qemu-x86_64-static -cpu Haswell` with the same Python. Models that lie
in the folder are not trained again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

SAMPLES = 200
CPU = "Haswell,-pcid,-x2apic,-tsc-deadline,-hle,-rtm,-invpcid"
NETS = ("mlp", "cnn", "residual", "clipped")
BITS = (8, 7)


def answer(folder: Path, goal: Path) -> None:
    """Logits of every model; also run by the emulated Python, so numpy and onnxruntime are all it needs."""
    import onnxruntime

    inputs = np.load(folder / "inputs.npy")[:SAMPLES]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    told = {}
    for path in sorted(folder.glob("*.onnx")):
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        batches = [inputs[at : at + 20] for at in range(0, SAMPLES, 20)]
        told[path.stem] = np.concatenate([session.run(None, {"images": b})[0] for b in batches])
    np.savez(goal, **told)


def emulated(folder: Path, goal: Path) -> None:
    script = (
        f"import sys; sys.path[:0] = {sys.path!r}; sys.argv = ['x', {str(folder)!r}, '--answer', {str(goal)!r}]\n"
        f"exec(open({__file__!r}).read())"
    )
    python = str(Path(sys.executable).resolve())
    order = ["qemu-x86_64-static", "-cpu", CPU, python, "-c", script]
    environment = {"PATH": "/usr/bin", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(order, check=True, env=environment)


def make(folder: Path) -> None:
    """Train and quantize what is not there yet."""
    import torch
    from torch import nn

    from edgekd.learn.data import fashion_mnist
    from edgekd.learn.source import LabelledImages

    splits = fashion_mnist.read().splits
    train, test = (LabelledImages(**splits[name]) for name in ("train", "test"))

    def prepare(images: np.ndarray) -> np.ndarray:
        return ((images.transpose(0, 3, 1, 2) / 255 - 0.286) / 0.353).astype(np.float32)

    np.save(folder / "inputs.npy", prepare(test.images[:1000]))
    np.save(folder / "labels.npy", test.labels[:1000])

    class Clamp(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.clamp(0, 1)

    def block(
        before: int, after: int, stride: int = 1, act: type[nn.Module] = nn.ReLU
    ) -> nn.Sequential:
        conv = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(after), act())

    class Residual(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.inner = nn.Sequential(block(width, width), *list(block(width, width))[:2])

        def forward(self, x: Any) -> Any:
            return torch.relu(x + self.inner(x))

    def head(width: int) -> list[nn.Module]:
        return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]

    def clipped(*shape: tuple[int, int, int]) -> list[nn.Module]:
        return [block(before, after, stride, Clamp) for before, after, stride in shape]

    nets: dict[str, list[nn.Module]] = {
        "mlp": [
            nn.Flatten(),
            *(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)),
        ],
        "cnn": [
            block(1, 16, 2),
            block(16, 32),
            block(32, 32, 2),
            block(32, 64),
            block(64, 64, 2),
            *head(64),
        ],
        "residual": [
            block(1, 16, 2),
            Residual(16),
            block(16, 32, 2),
            *(Residual(32) for _ in range(3)),
            *head(32),
        ],
        "clipped": [
            *clipped((1, 16, 2), (16, 32, 1), (32, 32, 2), (32, 48, 1), (48, 48, 2), (48, 48, 1)),
            *head(48),
        ],
    }
    for name, layers in nets.items():
        if (folder / f"{name}.onnx").exists():
            continue
        torch.manual_seed(0)
        model, rate = nn.Sequential(*layers), 0.1 if name == "mlp" else 0.3
        x = torch.from_numpy(prepare(train.images[:20_000]))
        y = torch.from_numpy(train.labels[:20_000].astype(np.int64))
        optimizer = torch.optim.SGD(
            model.parameters(), rate, momentum=0.9, weight_decay=5e-4, nesterov=True
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=4 * 156)
        for _ in range(4):
            for rows in torch.randperm(20_000)[: 156 * 128].view(156, 128):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
                optimizer.step()
                schedule.step()
                for layer in model.modules() if name == "clipped" else ():
                    if isinstance(layer, nn.Conv2d):
                        limit = 1.2 * layer.weight.detach().flatten(1).std(1).view(-1, 1, 1, 1)
                        layer.weight.data = layer.weight.data.minimum(limit).maximum(-limit)
        free = {"images": {0: "batch"}, "logits": {0: "batch"}}
        names: dict[str, Any] = {
            "input_names": ["images"],
            "output_names": ["logits"],
            "dynamic_axes": free,
        }
        torch.onnx.export(model.eval(), (x[:1],), folder / f"{name}.onnx", dynamo=False, **names)
        quantize(folder, name, prepare(train.images[-256:]))


def quantize(folder: Path, name: str, calibration: np.ndarray) -> None:
    from onnxruntime.quantization import CalibrationDataReader
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization import quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter([{"images": part} for part in np.split(calibration, 8)])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.batches, None)

    prepared = folder / f"{name}.prepared"
    quant_pre_process(folder / f"{name}.onnx", prepared)
    kinds = {
        "activation_type": QuantType.QUInt8,
        "weight_type": QuantType.QInt8,
        "per_channel": True,
    }
    for bits in BITS:
        goal = folder / f"{name}-int{bits}.onnx"
        quantize_static(prepared, goal, Reader(), reduce_range=bits == 7, **kinds)


def compared(folder: Path) -> dict[str, Any]:
    from edgekd.bench import saturation

    labels = np.load(folder / "labels.npy")[:SAMPLES]
    here, there = np.load(folder / "vnni.npz"), np.load(folder / "haswell.npz")
    found = {}
    for name in NETS:
        for bits in BITS:
            model = f"{name}-int{bits}"
            known = {"measured": here[model], "labels": labels}
            seen = saturation.check_saturation(here[name], there[model], **known)
            found[model] = {
                "rms_vnni": round(seen.stated_rms, 5),
                "rms_haswell": round(seen.rms, 5),
                "ratio": round(seen.rms / seen.stated_rms, 3),
                "haswell_to_vnni_max_abs": float(np.abs(there[model] - here[model]).max()),
                "right_vnni": int((here[model].argmax(1) == labels).sum()),
                "right_haswell": int((there[model].argmax(1) == labels).sum()),
                "lost": seen.lost,
                "won": seen.won,
                "signs": seen.signs,
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--answer", type=Path, help="only answer, into this file")
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    if asked.answer:
        return answer(asked.folder, asked.answer)
    asked.folder.mkdir(parents=True, exist_ok=True)
    make(asked.folder)
    answer(asked.folder, asked.folder / "vnni.npz")
    emulated(asked.folder, asked.folder / "haswell.npz")
    import onnxruntime

    told = {
        "command": "python benchmarks/boards/saturation.py FOLDER",
        "samples": SAMPLES,
        "onnxruntime": onnxruntime.__version__,
        "cpu": f"qemu-x86_64-static -cpu {CPU}",
        "files": compared(asked.folder),
    }
    text = json.dumps(told, indent=2)
    print(text)
    if asked.output:
        asked.output.write_text(text + "\n")
    return None


if __name__ == "__main__":
    main()
