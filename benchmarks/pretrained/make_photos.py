"""Makes an image folder from pictures that install from Debian and PyPI: what lies on the photograph?

    apt-get download openclipart-png && dpkg -x openclipart-png_*.deb openclipart
    pip install scikit-image pooch
    python benchmarks/pretrained/make_photos.py openclipart photos

Pictures of openclipart (public domain), cut out by their transparency, lie on parts of scikit-image's photographs, which are out
of focus, each at a random size, place, turn and brightness. The class is the picture's folder; its labels are as openclipart's authors gave
them, with a few pictures that are only marginally of their class. A picture is in one split alone: the test images show
pictures, not just places, that were never seen. What lies in two classes is left out.
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
from PIL import ImageFilter

CLASSES = {
    "bird": ("animals/birds",),
    "dessert": ("food/desserts",),
    "drink": ("food/beverages",),
    "fruit": ("food/fruit",),
    "insect": ("animals/bugs",),
    "mammal": ("animals/mammals",),
    "music": ("recreation/music",),
    "vehicle": ("transportation/vehicles", "transportation/boating"),
}
SIDE = 96
SHARES = {"train": 0.6, "val": 0.1, "test": 0.3}
COPIES = {"train": 3, "val": 2, "test": 2}
"""Images of each picture."""
PHOTOS = ("astronaut", "chelsea", "coffee", "hubble_deep_field", "rocket", "immunohistochemistry")


def find_pictures(root: Path) -> dict[str, list[Path]]:
    """The pictures of each class; what is there twice, or in two classes, counts once or not at all."""
    found: dict[str, dict[str, Path]] = {}
    for name, folders in CLASSES.items():
        paths = sorted(p for folder in folders for p in (root / folder).rglob("*.png"))
        found[name] = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in paths}
    uses = Counter(digest for each in found.values() for digest in each)
    return {
        name: [path for digest, path in sorted(each.items()) if uses[digest] == 1]
        for name, each in found.items()
    }


def open_cutout(path: Path) -> Image.Image | None:
    """A picture cut to what is not transparent; None of one that is too large, too small or opaque."""
    with Image.open(path) as file:
        if file.width * file.height > 10**7:
            return None
        picture = file.convert("RGBA")
    box = picture.getchannel("A").point(lambda alpha: 255 if alpha > 32 else 0).getbbox()
    if box is None or min(box[2] - box[0], box[3] - box[1]) < 12:
        return None
    return picture.crop(box)


def compose(cutout: Image.Image, photo: Image.Image, draw: random.Random) -> Image.Image:
    """The picture on a random part of the photograph."""
    side = draw.randint(SIDE, min(photo.size))
    left, top = (draw.randint(0, whole - side) for whole in photo.size)
    ground = photo.crop((left, top, left + side, top + side)).resize((SIDE, SIDE))
    longer = round(SIDE * draw.uniform(0.7, 1.0))
    factor = longer / max(cutout.size)
    small = cutout.resize(tuple(max(4, round(each * factor)) for each in cutout.size))
    small = small.rotate(draw.uniform(-15, 15), Image.Resampling.BILINEAR, expand=True)
    if draw.random() < 0.5:
        small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    small = Image.merge(
        "RGBA",
        (
            *ImageEnhance.Brightness(small.convert("RGB")).enhance(draw.uniform(0.7, 1.2)).split(),
            small.getchannel("A"),
        ),
    )
    place = tuple(draw.randint(0, max(0, SIDE - each)) for each in small.size)
    ground = ground.filter(ImageFilter.GaussianBlur(draw.uniform(1.0, 3.0)))
    ground.paste(small, place, small)
    return ground


def load_photos() -> list[Image.Image]:
    from skimage import data

    return [Image.fromarray(np.asarray(getattr(data, name)())).convert("RGB") for name in PHOTOS]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("openclipart", type=Path)
    parser.add_argument("output", type=Path)
    given = parser.parse_args()
    root = next(given.openclipart.rglob("openclipart/png"))
    photos, draw = load_photos(), random.Random(0)
    counts: Counter[str] = Counter()
    for name, paths in find_pictures(root).items():
        cutouts = [cutout for cutout in map(open_cutout, paths) if cutout is not None]
        draw.shuffle(cutouts)
        ends = np.cumsum([round(share * len(cutouts)) for share in SHARES.values()])
        for split, first, last in zip(SHARES, [0, *ends], [*ends[:-1], len(cutouts)], strict=False):
            folder = given.output / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for number, cutout in enumerate(cutouts[first:last]):
                for copy in range(COPIES[split]):
                    image = compose(cutout, draw.choice(photos), draw)
                    image.save(folder / f"{number:03}-{copy}.png")
                    counts[split] += 1
    print(", ".join(f"{split}: {count} images" for split, count in counts.items()))


if __name__ == "__main__":
    main()
