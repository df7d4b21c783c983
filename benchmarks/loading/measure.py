"""Samples a second from a folder of photographs, beside a DataLoader of Pillow; and the memory of both parts of a run.

    python benchmarks/loading/measure.py --output benchmarks/loading/result.json

JPEGs of several sizes around 500 x 375 are made (real photographs would need a download), and seen at 224 x 224
through a random resized crop and a mirror, normalised, in batches of 64. The other side is torch's DataLoader over a
data set that does the same as torchvision's transforms do with Pillow: open, convert, crop, resize (bilinear), mirror,
to float and normalise, image by image, in as many worker processes as the loader here has threads. Both take turns; the
figure is the median of the ratios within a turn. The first turn of each warms the files up and does not count.
`--part memory` runs the data stage and two epochs of batches over folders of two sizes, each in a process of its own,
and compares their peaks (VmHWM).
"""

from __future__ import annotations

import argparse
import io
import json
import math
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image as pillow
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from edgekd import dataset
from edgekd.learn.data.image_storage import read_training_rows
from edgekd.learn.data.loader import Samples
from edgekd.learn.data.loader import epoch_batches
from edgekd.learn.view_settings import RandomResizedCrop
from edgekd.learn.view_settings import Views
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import data as data_stage

SIDE, BATCH = 224, 64
SIZES = ((500, 375), (375, 500), (500, 333), (640, 480), (400, 400))
CROP = RandomResizedCrop()


def make_photos(folder: Path, count: int, sizes: tuple[tuple[int, int], ...] = SIZES) -> None:
    """Two classes of JPEGs with edges and grain at quality 90, about as large as photographs of their size."""
    generator = np.random.default_rng(0)
    for number in range(count):
        width, height = sizes[number % len(sizes)]
        coarse = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        smooth = np.asarray(pillow.fromarray(coarse).resize((width, height), pillow.BICUBIC))
        grain = generator.normal(0, 9, (height, width, 1))
        pixels = np.clip(smooth + grain, 0, 255).astype(np.uint8)
        path = folder / ("cat", "dog")[number % 2] / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pillow.fromarray(pixels).save(path, quality=90)


def store(photos: Path, goal: Path) -> dict[str, Path]:
    """What the data stage makes of them, training images encoded."""
    goal.mkdir()
    source = {"name": "image-folder", "reference": str(photos), "size": SIDE, "stored": "encoded"}
    config = data_stage.DataConfig(source=source, validation=0.05, test=0.05)
    context = Context(folder=goal, checkpoints=goal, seed=0, progress=Silent())
    return data_stage.STAGE.run(config, {}, context)


def open_samples(made: dict[str, Path]) -> Samples:
    """The training split, seen as in training."""
    found = dataset.read(made["data.json"])
    views = Views(flip=True, random_resized_crop=CROP)
    return Samples(
        dataset=found, rows=read_training_rows(found, made["train"]), views=views, seed=0
    )


def draw_box(width: int, height: int) -> tuple[int, int, int, int]:
    """A random part: 8 to 100 % of the area, 3/4 to 4/3 as wide as high."""
    for _ in range(10):
        area = width * height * random.uniform(0.08, 1)
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        wide, tall = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < tall <= height:
            left, top = random.randint(0, width - wide), random.randint(0, height - tall)
            return left, top, left + wide, top + tall
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


class Photos(TorchDataset[tuple[torch.Tensor, int]]):
    """As torchvision reads a folder of classes and transforms it, without torchvision."""

    def __init__(self, encoded: list[bytes]) -> None:
        self.encoded = encoded
        self.mean = torch.tensor((0.485, 0.456, 0.406)).reshape(3, 1, 1)
        self.std = torch.tensor((0.229, 0.224, 0.225)).reshape(3, 1, 1)

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        image = pillow.open(io.BytesIO(self.encoded[number])).convert("RGB")
        part = image.crop(draw_box(image.width, image.height))
        part = part.resize((SIDE, SIDE), pillow.Resampling.BILINEAR)
        if random.random() < 0.5:
            part = part.transpose(pillow.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(part)).permute(2, 0, 1).contiguous()
        return pixels.float().div_(255).sub_(self.mean).div_(self.std), number % 2


def rate_here(samples: Samples, epoch: int, workers: int) -> float:
    """Samples a second."""
    start, count = time.perf_counter(), 0
    for batch in epoch_batches(
        samples, epoch=epoch, batch_size=BATCH, seed=0, start=0, workers=workers
    ):
        torch.from_numpy(batch.inputs[0])
        count += len(batch.indices)
    return count / (time.perf_counter() - start)


def rate_there(loader: DataLoader[tuple[torch.Tensor, int]]) -> float:
    """Samples a second."""
    start, count = time.perf_counter(), 0
    for images, _ in loader:
        count += len(images)
    return count / (time.perf_counter() - start)


def compare(count: int, workers: int, turns: int) -> dict[str, object]:
    """Both loaders over the same photographs."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="edgekd-loading-") as folder:
        make_photos(Path(folder) / "photos", count)
        samples = open_samples(store(Path(folder) / "photos", Path(folder) / "stored"))
        encoded = [row.tobytes() for row in samples.rows["images"].encoded]
        there = DataLoader(
            Photos(encoded),
            BATCH,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            persistent_workers=True,
        )
        rates = []
        for turn in range(turns + 1):
            pair = rate_here(samples, turn, workers), rate_there(there)
            rates += [pair] if turn else []
            print(f"turn {turn}: {pair[0]:.1f} here, {pair[1]:.1f} there", flush=True)
    ratios = sorted(here / other for here, other in rates)
    return {
        "images": count,
        "trained": len(encoded),
        "bytes_an_image": sum(map(len, encoded)) / len(encoded),
        "workers": workers,
        "samples_per_s": {
            "edgekd": statistics.median(here for here, _ in rates),
            "DataLoader of Pillow": statistics.median(other for _, other in rates),
        },
        "ratio": statistics.median(ratios),
        "ratio_least": ratios[0],
        "ratio_most": ratios[-1],
    }


PEAK = """
import sys
sys.path.insert(0, {here!r})
import measure
from pathlib import Path
made = measure.store(Path({photos!r}), Path({goal!r}))
samples = measure.open_samples(made)
for epoch in range(2):
    measure.rate_here(samples, epoch, 2)
for line in Path("/proc/self/status").read_text().splitlines():
    if line.startswith(("VmHWM", "RssFile", "RssAnon")):
        print(line.split()[0].rstrip(":"), int(line.split()[1]) // 1024)
"""


def peak_memory(count: int) -> dict[str, int]:
    """MiB of a process that stores and twice reads so many photographs."""
    with tempfile.TemporaryDirectory(prefix="edgekd-loading-") as folder:
        make_photos(Path(folder) / "photos", count)
        text = PEAK.format(
            here=str(Path(__file__).parent),
            photos=f"{folder}/photos",
            goal=f"{folder}/stored",
        )
        done = subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, check=True
        )
    return {name: int(value) for name, value in map(str.split, done.stdout.splitlines())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--part", choices=("rate", "memory"), action="append")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--turns", type=int, default=5)
    asked = parser.parse_args()
    result: dict[str, object] = {}
    if asked.output is not None and asked.output.exists():
        result = json.loads(asked.output.read_text())
    parts = asked.part or ["rate", "memory"]
    result["machine"] = {"processor": platform.processor(), "torch": torch.__version__}
    if "rate" in parts:
        result["rate"] = compare(asked.images, asked.workers, asked.turns)
    if "memory" in parts:
        peaks = {count: peak_memory(count) for count in (asked.images // 4, asked.images)}
        result["memory_mib"] = {str(count): peak for count, peak in peaks.items()}
    result = {"command": "python benchmarks/loading/measure.py"} | result
    text = json.dumps(result, indent=1) + "\n"
    print(text)
    if asked.output is not None:
        asked.output.write_text(text)


if __name__ == "__main__":
    main()
