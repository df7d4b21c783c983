"""Source `cifar100`: photographs, 32x32, in 100 classes (Krizhevsky 2009), in the binary form."""

from __future__ import annotations

from pathlib import Path

from edgekd.learn.download import RemoteFile
from edgekd.learn.formats import cifar
from edgekd.learn.source import Source

KIND = cifar.Kind(
    name="cifar100",
    folder="cifar-100-binary",
    train=("train.bin",),
    test="test.bin",
    names="fine_label_names.txt",
    classes=100,
    label_bytes=2,
    archive=RemoteFile(
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        "md5:03b5dce01913d631647c71ecec9e9cb8",
    ),
)


def files(
    *, data_dir: Path | None = None, allow_code: bool = False, allow_download: bool = False
) -> list[Path]:
    """The files of ``cifar-100-binary`` or the one archive of it.

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
