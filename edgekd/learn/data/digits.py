"""Source `digits`: handwritten digits, 8x8, from the files of scikit-learn (E. Alpaydin 1998)."""

from __future__ import annotations

import gzip
import importlib.util
import io
from pathlib import Path

from edgekd import files as disk
from edgekd.errors import MachineError
from edgekd.learn.source import LabelledImages
from edgekd.learn.source import Source
from edgekd.learn.source import label_images

CLASSES = tuple("0123456789")


def files(
    *, data_dir: Path | None = None, allow_code: bool = False, allow_download: bool = False
) -> list[Path]:
    """The one file, found without importing scikit-learn (which takes a second).

    Raises:
        MachineError: if scikit-learn is not installed.
    """
    spec = importlib.util.find_spec("sklearn")
    for folder in (spec and spec.submodule_search_locations) or []:
        path = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if path.is_file():
            return [path]
    raise MachineError(
        "digits: got no scikit-learn, whose files hold these images, want it installed",
        hint="pip install scikit-learn",
    )


def read(
    *, data_dir: Path | None = None, allow_code: bool = False, allow_download: bool = False
) -> Source:
    """1,797 images [8, 8, 1]; 0 to 16 becomes 0 to 255.

    Raises:
        MachineError: if scikit-learn is not installed or its file is not what it was.
    """
    import numpy as np  # `files` does without

    (path,) = files(data_dir=data_dir)
    try:
        with disk.open_regular(path) as file:
            text = gzip.GzipFile(fileobj=file).read(2**24)
        table = np.loadtxt(io.BytesIO(text), delimiter=",", dtype=np.int64, ndmin=2)
        pixels, labels = table[:, :-1].reshape(-1, 8, 8, 1), table[:, -1]
        if pixels.min() < 0 or pixels.max() > 16:
            raise ValueError("want pixels from 0 to 16")
    except (OSError, EOFError, ValueError) as error:
        raise MachineError(
            f"{path}: cannot be read: {error}", hint="pip install --force-reinstall scikit-learn"
        ) from error
    images = ((pixels * 255 + 8) // 16).astype(np.uint8)
    return label_images(LabelledImages(images, np.ascontiguousarray(labels)), None, None, CLASSES)
