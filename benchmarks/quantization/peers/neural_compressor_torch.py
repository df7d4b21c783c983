"""neural-compressor's static quantization (PT2E), exported to ONNX: python neural_compressor_torch.py FOLDER OUTPUT."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from neural_compressor.torch.export import export
from neural_compressor.torch.quantization import convert
from neural_compressor.torch.quantization import get_default_static_config
from neural_compressor.torch.quantization import prepare

from edgekd.learn import blueprint

folder, output = Path(sys.argv[1]), Path(sys.argv[2])
images = torch.from_numpy(np.load(folder / "calibration.npz")["images"])
model = blueprint.load(folder / "blueprint.json", folder / "weights.safetensors")
batch = torch.export.Dim("batch", min=2)
exported = export(model, example_inputs=(images[:2],), dynamic_shapes=({0: batch},))
prepared = prepare(exported, quant_config=get_default_static_config())
for part in images.split(32):
    prepared(part)
quantized = convert(prepared)
torch.onnx.export(
    quantized,
    (images[:2],),
    output / "model.onnx",
    dynamo=True,
    external_data=False,
    dynamic_shapes=({0: batch},),
    input_names=["images"],
    output_names=["logits"],
)
