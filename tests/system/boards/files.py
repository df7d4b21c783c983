"""What the boards are tried with: a student trained here, its int8 file that loses without VNNI, and one that does not.

    python tests/system/boards/files.py FOLDER      (about 3 minutes on two cores)

student.edgekd   the float32 student
losing.edgekd    the same with int8 weights of full range (onnxruntime's quantize_static, its default)
sound.edgekd     with 7-bit weights (reduce_range)
images.npy       uint8 [1000, 28, 28, 1], the first test images of Fashion-MNIST; labels.npy their classes
measured.npz     logits of the three on all of them, on this machine: it must have VNNI

The student's weights are clipped to 1.2 standard deviations and its activations to [0, 1], as in
quantization-aware training (DoReFa-Net, arXiv:1606.06160): both fill their ranges, so pairs of products
are often too large for 16 bits. Its bundles hold 200 golden samples.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnxruntime.quantization import CalibrationDataReader
from onnxruntime.quantization import QuantFormat
from onnxruntime.quantization import QuantType
from onnxruntime.quantization import quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from safetensors.numpy import save_file
from torch import nn

from edgekd.bench import saturation
from edgekd.bench.engine import Engine
from edgekd.bench.outputs import compute_outputs
from edgekd.bench.outputs import write_inputs
from edgekd.bundle import archive
from edgekd.bundle import write as bundle_write
from edgekd.dataset import Dataset
from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.interface import image_classifier
from edgekd.learn.data import fashion_mnist
from edgekd.learn.source import LabelledImages
from edgekd.tasks import classification

IMAGE = Image(height=28, width=28, channels=1, mean=(0.286,), std=(0.353,))
CLIP = 1.2
TRAINED, EPOCHS, BATCH = 20_000, 5, 128
TESTED, GOLDEN = 1000, 200
NAME = "onnxruntime-fp32-1t"


class Clamp(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.clamp(0, 1)


def student() -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after, stride in (
        (1, 16, 2),
        (16, 32, 1),
        (32, 32, 2),
        (32, 48, 1),
        (48, 48, 2),
        (48, 48, 1),
    ):
        convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        layers += [convolution, nn.BatchNorm2d(after), Clamp()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10))


@torch.no_grad()
def clip(model: nn.Module) -> None:
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            limit = CLIP * layer.weight.flatten(1).std(1).view(-1, 1, 1, 1)
            layer.weight.copy_(layer.weight.minimum(limit).maximum(-limit))


def trained(images: np.ndarray, labels: np.ndarray) -> nn.Sequential:
    torch.manual_seed(0)
    model, steps = student(), len(images) // BATCH
    x, y = torch.from_numpy(IMAGE.apply(images)), torch.from_numpy(labels.astype(np.int64))
    optimizer = torch.optim.SGD(
        model.parameters(), 0.2, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.3, total_steps=EPOCHS * steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x))[: steps * BATCH].view(steps, BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
            clip(model)
    return model.eval()


class Calibration(CalibrationDataReader):
    def __init__(self, inputs: np.ndarray) -> None:
        self._batches: Iterator[dict[str, np.ndarray]] = iter(
            [{"images": part} for part in np.split(inputs, len(inputs) // 32)]
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


def exported(model: nn.Module, calibration: np.ndarray, folder: Path) -> dict[str, Path]:
    paths = {name: folder / f"{name}.onnx" for name in ("student", "losing", "sound", "prepared")}
    free = {"images": {0: "batch"}, "logits": {0: "batch"}}
    names: dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"]}
    example = (torch.from_numpy(calibration[:1]),)
    torch.onnx.export(model, example, paths["student"], dynamo=False, dynamic_axes=free, **names)
    quant_pre_process(paths["student"], paths["prepared"])
    for name in ("losing", "sound"):
        quantize_static(
            paths["prepared"],
            paths[name],
            Calibration(calibration),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=name == "sound",
        )
    return paths


def logits(model: Path, images: np.ndarray) -> np.ndarray:
    engine = Engine("onnxruntime", "fp32", 1, {"model.onnx": model})
    split = write_inputs({"images": images}, model.with_suffix(".split"))
    return compute_outputs(engine, split, fields={"images": IMAGE})["logits"]


def bundled(
    name: str, model: Path, golden: Path, said: np.ndarray, classes: tuple[str, ...], goal: Path
) -> None:
    """A bundle whose golden answers are the student's, and whose tolerance is this file's own."""
    from safetensors.numpy import load_file

    want = load_file(golden)["usual/outputs/logits"]
    row = {
        "name": NAME,
        "model": "student",
        "runtime": "onnxruntime",
        "precision": "fp32",
        "threads": 1,
        "status": "ok",
        "reason": "",
        "parity_max_abs": float(np.abs(said[:GOLDEN] - want).max()),
        "parity_rms": saturation.rms(want, said[:GOLDEN]),
        "agreement": float((said[:GOLDEN].argmax(1) == want.argmax(1)).mean()),
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "bundle"
        bundle_write.write(
            folder,
            name=name,
            version="0",
            model=model,
            golden=golden,
            dataset=Dataset(
                task="classification",
                inputs={"images": IMAGE},
                targets={"labels": Label(names=classes)},
            ),
            interface=image_classifier(classes=len(classes), channels=1, height=28, width=28),
            metric=classification.TASK.score,
            rows=[row],
            chosen=NAME,
            created_from={},
            parity={"allowed": 1e-4},
            card=f"# {name}\n",
        )
        archive.pack(folder, goal / f"{name}.edgekd")


def main() -> None:
    goal = Path(sys.argv[1])
    goal.mkdir(parents=True, exist_ok=True)
    source = fashion_mnist.read(data_dir=None, allow_code=False, allow_download=False)
    train, test = (LabelledImages(**source.splits[name]) for name in ("train", "test"))
    model = trained(train.images[:TRAINED], train.labels[:TRAINED])
    images, labels = test.images[:TESTED], test.labels[:TESTED]
    np.save(goal / "images.npy", images)
    np.save(goal / "labels.npy", labels)
    calibration = IMAGE.apply(train.images[-256:])
    with tempfile.TemporaryDirectory() as folder:
        paths = exported(model, calibration, Path(folder))
        with torch.no_grad():
            inputs = IMAGE.apply(images[:GOLDEN])
            want = model(torch.from_numpy(inputs)).numpy()
        golden = {"usual/inputs/images": inputs, "usual/outputs/logits": want}
        save_file(golden, Path(folder) / "golden.safetensors")
        said = {name: logits(paths[name], images) for name in ("student", "losing", "sound")}
        classes = source.fields["labels"].words["names"]
        for name, answers in said.items():
            golden_path = Path(folder) / "golden.safetensors"
            bundled(name, paths[name], golden_path, answers, classes, goal)
            print(f"{name}: {(answers.argmax(1) == labels).mean():.3f}")
    np.savez(goal / "measured.npz", **said)


if __name__ == "__main__":
    main()
