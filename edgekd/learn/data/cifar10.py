"""Source `cifar10`: photographs, 32x32, in 10 classes (Krizhevsky 2009), in the binary form."""

from __future__ import annotations

from pathlib import Path

from edgekd.learn.download import RemoteFile
from edgekd.learn.formats import cifar
from edgekd.learn.source import Source

KIND = cifar.Kind(
    name="cifar10",
    folder="cifar-10-batches-bin",
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test="test_batch.bin",
    names="batches.meta.txt",
    classes=10,
    label_bytes=1,
    archive=RemoteFile(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "md5:c32a1d4ab5d03f1284b67883e8d87530",
    ),
)


def files(
    *, data_dir: Path | None = None, allow_code: bool = False, allow_download: bool = False
) -> list[Path]:
    """The files of ``cifar-10-batches-bin`` or the one archive of it.

    Raises:
        MachineError: if there is neither and it may not or cannot be downloaded.
    """
    return cifar.find_files(KIND, data_dir, allow_download)


def remote(*, data_dir: Path | None = None) -> tuple[str, ...]:
    """Return what would be downloaded; nothing if the files are here."""
    return cifar.remote(KIND, data_dir)


def read(
    *, data_dir: Path | None = None, allow_code: bool = False, allow_download: bool = False
) -> Source:
    """50,000 images [32, 32, 3] to train on and 10,000 to test.

    Raises:
        InputError: if a file is not what its name says.
        MachineError: as `files`.
    """
    return cifar.read(KIND, cifar.find_files(KIND, data_dir, allow_download))
