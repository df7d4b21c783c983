"""ModelOpt's int8 quantization of the ONNX file: python modelopt_onnx.py FOLDER OUTPUT."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from modelopt.onnx.quantization import quantize

folder, output = Path(sys.argv[1]), Path(sys.argv[2])
quantize(
    str(folder / "model.onnx"),
    quantize_mode="int8",
    calibration_data={"images": np.load(folder / "calibration.npz")["images"]},
    calibration_eps=["cpu"],
    high_precision_dtype="fp32",
    output_path=str(output / "model.onnx"),
)
