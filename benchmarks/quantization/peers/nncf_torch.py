"""NNCF's post-training quantization of the torch module, exported to ONNX: python nncf_torch.py FOLDER OUTPUT.

BatchNorm is folded by hand first: without that ONNX Runtime runs the result slower than float.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nncf
import numpy as np
import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

from edgekd.learn import blueprint

folder, output = Path(sys.argv[1]), Path(sys.argv[2])
images = torch.from_numpy(np.load(folder / "calibration.npz")["images"])
model = blueprint.load(folder / "blueprint.json", folder / "weights.safetensors")
if any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
    fused = fuse(model)
    kept = {node.target for node in fused.graph.nodes if node.op == "call_module"}
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Conv2d):
            model.set_submodule(name, fused.get_submodule(name))
        elif isinstance(module, nn.BatchNorm2d) and name not in kept:
            model.set_submodule(name, nn.Identity())
about = (folder / "blueprint.json").read_text()  # not counted: one of these, by the student's kind
options: dict[str, object] = {}  # not counted
if "vit" in about:  # not counted
    options = {"model_type": nncf.ModelType.TRANSFORMER}  # not counted
elif "mobilenetv3" in about:  # not counted
    options = {"preset": nncf.QuantizationPreset.MIXED}  # not counted
dataset = nncf.Dataset(torch.utils.data.DataLoader(images, batch_size=1))
quantized = nncf.quantize(model, dataset, subset_size=len(images), **options)
stripped = nncf.strip(quantized, strip_format=nncf.StripFormat.NATIVE, example_input=images[:1])
torch.onnx.export(
    stripped,
    (images[:1],),
    output / "model.onnx",
    dynamo=False,
    input_names=["images"],
    output_names=["logits"],
    dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
)
