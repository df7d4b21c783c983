"""Source `fashion-mnist`: garments, 28x28, in IDX files (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747)."""

from __future__ import annotations

from pathlib import Path

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.download import RemoteFile
from edgekd.learn.download import cache_folder
from edgekd.learn.download import fetch
from edgekd.learn.download import not_found_error
from edgekd.learn.formats import idx
from edgekd.learn.source import LabelledImages
from edgekd.learn.source import Source
from edgekd.learn.source import as_images
from edgekd.learn.source import as_labels
from edgekd.learn.source import label_images

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SYSTEM = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package `dataset-fashion-mnist` puts the files."""
_URL = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"
REMOTES = {
    "train-images-idx3-ubyte": RemoteFile(
        f"{_URL}train-images-idx3-ubyte.gz",
        "sha256:3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    "train-labels-idx1-ubyte": RemoteFile(
        f"{_URL}train-labels-idx1-ubyte.gz",
        "sha256:a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    "t10k-images-idx3-ubyte": RemoteFile(
        f"{_URL}t10k-images-idx3-ubyte.gz",
        "sha256:346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    "t10k-labels-idx1-ubyte": RemoteFile(
        f"{_URL}t10k-labels-idx1-ubyte.gz",
        "sha256:67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
}
"""The four files, in the order of `files`; the sums are those of the project's own .gz."""


def places(data_dir: Path | None) -> list[Path]:
    """Folders that are searched, best first."""
    own = (
        [data_dir, data_dir / "fashion-mnist", data_dir / "FashionMNIST" / "raw"]
        if data_dir
        else []
    )
    return [*own, SYSTEM, cache_folder("fashion-mnist")]


def files(
    *, data_dir: Path | None = None, allow_code: bool = False, allow_download: bool = False
) -> list[Path]:
    """Training images and labels, test images and labels; ``.gz`` or raw, from one folder.

    Raises:
        MachineError: if no folder has all four and they may not or cannot be downloaded.
    """
    for folder in places(data_dir):
        found = [
            next((p for p in (folder / f"{name}.gz", folder / name) if p.exists()), None)
            for name in REMOTES
        ]
        if all(found):
            return [path for path in found if path is not None]
    if allow_download:
        return [fetch(remote, cache_folder("fashion-mnist")) for remote in REMOTES.values()]
    raise not_found_error(
        "fashion-mnist", places(data_dir), "apt-get install dataset-fashion-mnist, or "
    )


def remote(*, data_dir: Path | None = None) -> tuple[str, ...]:
    """Return what would be downloaded; nothing if the files are here."""
    try:
        files(data_dir=data_dir)
    except MachineError:
        return tuple(each.url for each in REMOTES.values())
    return ()


def read(
    *, data_dir: Path | None = None, allow_code: bool = False, allow_download: bool = False
) -> Source:
    """60,000 images [28, 28, 1] to train on and 10,000 to test.

    Raises:
        InputError: if a file is not what its name says.
        MachineError: as `files`.
    """
    paths = files(data_dir=data_dir, allow_download=allow_download)
    train, test = (_split(*paths[at : at + 2]) for at in (0, 2))
    return label_images(train, None, test, CLASSES)


def _split(image_path: Path, label_path: Path) -> LabelledImages:
    images = as_images(idx.read(image_path), str(image_path))
    labels = as_labels(idx.read(label_path), str(label_path))
    if len(images) != len(labels):
        raise InputError(f"{label_path}: got {len(labels)} labels, want {len(images)}")
    return LabelledImages(images, labels)
