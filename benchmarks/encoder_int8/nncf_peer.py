"""NNCF's post-training quantization for transformers, with its SmoothQuant: an ONNX file to OpenVINO's.

PYTHON nncf_peer.py FLOAT.onnx CALIBRATION.npz OUT.xml
"""

from __future__ import annotations

import sys

import nncf
import numpy as np
import openvino

model, calibration, out = sys.argv[1:]
stored = np.load(calibration)
rows = [stored[name] for name in stored.files]
quantized = nncf.quantize(
    openvino.Core().read_model(model),
    nncf.Dataset(rows, lambda row: {"input_ids": row, "attention_mask": np.ones_like(row)}),
    model_type=nncf.ModelType.TRANSFORMER,
    preset=nncf.QuantizationPreset.MIXED,
    subset_size=len(rows),
)
openvino.save_model(quantized, out, compress_to_fp16=False)
