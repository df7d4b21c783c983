"""ModelOpt's int8 quantization of the torch module, exported to ONNX: python modelopt_torch.py FOLDER OUTPUT."""

from __future__ import annotations

import sys
from pathlib import Path

import modelopt.torch.quantization as mtq
import numpy as np
import torch

from edgekd.learn import blueprint

folder, output = Path(sys.argv[1]), Path(sys.argv[2])
images = torch.from_numpy(np.load(folder / "calibration.npz")["images"])
model = blueprint.load(folder / "blueprint.json", folder / "weights.safetensors")


def calibrate(module: torch.nn.Module) -> None:
    for batch in images.split(32):
        module(batch)


quantized = mtq.quantize(model, mtq.INT8_DEFAULT_CFG, calibrate)
torch.onnx.export(
    quantized,
    (images[:1],),
    output / "model.onnx",
    dynamo=False,
    input_names=["images"],
    output_names=["logits"],
    dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
)
