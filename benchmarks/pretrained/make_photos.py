"""Makes an image folder from pictures that install from Debian: what is on the picture?

    apt-get download openclipart-png tuxpaint-stamps-default
    for each in *.deb; do dpkg -x $each pictures; done
    python benchmarks/pretrained/make_photos.py pictures photos

Drawings of openclipart (public domain) and photographs and drawings of Tux Paint's stamps (GPL-2), cut out by their
transparency, lie on light paper of one colour, each at a random size, place, turn and brightness. The class is the folder in
which a picture is; a few are only marginally of their class. A picture is in one split alone: the test images show pictures
that were never seen. What looks the same is there once, and not at all if it lies in two classes.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from PIL import ImageEnhance

CLIPART, STAMPS = "usr/share/openclipart/png", "usr/share/tuxpaint/stamps"
CLASSES = {
    "bird": (f"{CLIPART}/animals/birds", f"{STAMPS}/animals/birds"),
    "dessert": (f"{CLIPART}/food/desserts",),
    "drink": (f"{CLIPART}/food/beverages",),
    "fruit": (f"{CLIPART}/food/fruit", f"{STAMPS}/food/fruit"),
    "insect": (f"{CLIPART}/animals/bugs", f"{STAMPS}/animals/insects"),
    "mammal": (
        f"{CLIPART}/animals/mammals",
        f"{STAMPS}/animals/mammals",
        f"{STAMPS}/animals/marsupials",
    ),
    "music": (f"{CLIPART}/recreation/music", f"{STAMPS}/hobbies/music"),
    "vehicle": (
        f"{CLIPART}/transportation/vehicles",
        f"{CLIPART}/transportation/boating",
        f"{STAMPS}/vehicles",
    ),
}
LEFT_OUT = {"cartoon", "toys"}
"""Folders of stamps."""
SIDE = 128
SHARES = {"train": 0.5, "val": 0.15, "test": 0.35}
COPIES = 2
"""Images of each picture."""


def open_cutout(path: Path) -> Image.Image | None:
    """A picture cut to what is not transparent; None of one that is too large or too small."""
    with Image.open(path) as file:
        if file.width * file.height > 10**7:
            return None
        picture = file.convert("RGBA")
    box = picture.getchannel("A").point(lambda alpha: 255 if alpha > 32 else 0).getbbox()
    if box is None or min(box[2] - box[0], box[3] - box[1]) < 12:
        return None
    return picture.crop(box)


def find_pictures(root: Path) -> dict[str, list[Image.Image]]:
    """The pictures of each class; what is there twice, or in two classes, counts once or not at all."""
    found: dict[str, dict[str, Image.Image]] = {}
    for name, folders in CLASSES.items():
        paths = [path for folder in folders for path in sorted((root / folder).rglob("*.png"))]
        cutouts = [open_cutout(path) for path in paths if not LEFT_OUT.intersection(path.parts)]
        found[name] = {summarize(each): each for each in cutouts if each is not None}
    uses = Counter(digest for each in found.values() for digest in each)
    return {
        name: [cutout for digest, cutout in sorted(each.items()) if uses[digest] == 1]
        for name, each in found.items()
    }


def summarize(cutout: Image.Image) -> str:
    """A digest of what a picture looks like from afar."""
    small = np.asarray(cutout.resize((16, 16), Image.Resampling.BOX)).astype(int) // 32
    return hashlib.sha256(small.astype(np.uint8).tobytes()).hexdigest()


def compose(cutout: Image.Image, draw: random.Random) -> Image.Image:
    """The picture on a sheet of paper."""
    paper = Image.new("RGB", (SIDE, SIDE), tuple(draw.randint(170, 255) for _ in range(3)))
    picture = cutout.rotate(draw.uniform(-15, 15), Image.Resampling.BILINEAR, expand=True)
    factor = SIDE * draw.uniform(0.85, 1.0) / max(picture.size)
    picture = picture.resize(tuple(max(4, round(each * factor)) for each in picture.size))
    if draw.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    colors = ImageEnhance.Brightness(picture.convert("RGB")).enhance(draw.uniform(0.7, 1.2))
    place = tuple(draw.randint(0, max(0, SIDE - each)) for each in picture.size)
    paper.paste(colors, place, picture.getchannel("A"))
    return paper


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path)
    parser.add_argument("output", type=Path)
    given = parser.parse_args()
    draw, counts = random.Random(0), Counter[str]()
    for name, cutouts in find_pictures(given.pictures).items():
        draw.shuffle(cutouts)
        ends = np.cumsum([round(share * len(cutouts)) for share in SHARES.values()])
        for split, first, last in zip(SHARES, [0, *ends], [*ends[:-1], len(cutouts)], strict=False):
            folder = given.output / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for number, cutout in enumerate(cutouts[first:last]):
                for copy in range(COPIES):
                    compose(cutout, draw).save(folder / f"{number:03}-{copy}.png")
                    counts[split] += 1
    print(", ".join(f"{split}: {count} images" for split, count in counts.items()))


if __name__ == "__main__":
    main()
