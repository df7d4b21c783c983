"""scikit-learn's digits in three splits that share none: what composed samples are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekd.learn.data import digits
from edgekd.learn.source import LabelledImages

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
SEED = 0


def split_digits(data_dir: Path | None = None) -> dict[str, LabelledImages]:
    """The digits of each split, shuffled alike every time: images uint8 [n, 8, 8] and labels int64 [n].

    Raises:
        MachineError: as `edgekd.learn.data.digits.read`.
    """
    rows = digits.read(data_dir=data_dir).splits["train"]
    images, labels = np.asarray(rows["images"])[..., 0], np.asarray(rows["labels"])
    order = np.random.default_rng(SEED).permutation(len(labels))
    ends = np.round(np.cumsum(list(SHARES.values())) * len(order)).astype(int)
    parts = zip(SHARES, np.split(order, ends[:-1]), strict=True)
    return {name: LabelledImages(images[part], labels[part]) for name, part in parts}
