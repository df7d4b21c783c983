"""ONNX Runtime's quantize_static as its documentation advises for x86 with VNNI: python ort_static.py FOLDER OUTPUT."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader
from onnxruntime.quantization import QuantFormat
from onnxruntime.quantization import QuantType
from onnxruntime.quantization import quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Images(CalibrationDataReader):
    def __init__(self, images: np.ndarray) -> None:
        self.batches = iter(np.split(images, len(images) // 32))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch}


folder, output = Path(sys.argv[1]), Path(sys.argv[2])
images = np.load(folder / "calibration.npz")["images"]
prepared = output / "prepared.tmp"
quant_pre_process(folder / "model.onnx", prepared)
quantize_static(
    prepared,
    output / "model.onnx",
    Images(images),
    quant_format=QuantFormat.QDQ,
    activation_type=QuantType.QUInt8,
    weight_type=QuantType.QInt8,
    per_channel=True,
)
