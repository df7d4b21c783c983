"""NNCF's post-training quantization of the OpenVINO model, its home: python nncf_openvino.py FOLDER OUTPUT."""

from __future__ import annotations

import sys
from pathlib import Path

import nncf
import numpy as np
import openvino as ov

folder, output = Path(sys.argv[1]), Path(sys.argv[2])
images = np.load(folder / "calibration.npz")["images"]
model = ov.convert_model(folder / "model.onnx")
about = (folder / "blueprint.json").read_text()  # not counted: one of these, by the student's kind
options: dict[str, object] = {}  # not counted
if "vit" in about:  # not counted
    options = {"model_type": nncf.ModelType.TRANSFORMER}  # not counted
elif "mobilenetv3" in about:  # not counted
    options = {"preset": nncf.QuantizationPreset.MIXED}  # not counted
dataset = nncf.Dataset(list(images), lambda image: image[None])
quantized = nncf.quantize(model, dataset, subset_size=len(images), **options)
ov.save_model(quantized, output / "model.xml", compress_to_fp16=False)
