"""The calibration images as Olive's data configuration asks for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from olive.data.registry import Registry
from torch.utils.data import Dataset


class Images(Dataset[Any]):
    def __init__(self, path: str) -> None:
        self.images = np.load(path)["images"]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], int]:
        return {"images": self.images[index]}, 0


@Registry.register_dataset()
def calibration_images(data_dir: str, **unused: Any) -> Images:
    return Images(data_dir)
