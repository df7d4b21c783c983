"""Is a builder's model quantized, exported, and answered as torch does by both engines?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgekd.interface import Interface
from edgekd.learn import blueprint
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.export import to_onnx
from edgekd.learn.forward_pass import as_tuple
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.quant import blocks
from edgekd.learn.quant import emit
from edgekd.learn.quant import post_training
from edgekd.profile import NUMERICS
from edgekd.profile import PROFILES
from edgekd.runtime import Session
from edgekd.runtimes import openvino
from edgekd.runtimes import ort


class Deployed(NamedTuple):
    """A file on an engine, beside the torch model that it is of."""

    session: Session
    model: nn.Module
    allowed: list[float]
    """Of each output: how far both may be apart, root mean square."""

    def run(self, interface: Interface, inputs: Inputs) -> list[NDArray[Any]]:
        """What the engine answers."""
        named = zip(interface.inputs, inputs, strict=True)
        return self.session.run({end.name: x.numpy() for end, x in named})


def deploy(plan: Blueprint, batches: list[Inputs], folder: Path) -> Iterator[Deployed]:
    """Save, load, quantize and export `plan`; gives it in float and in int8, on both engines."""
    torch.manual_seed(0)
    paths = blueprint.save(blueprint.build(plan), plan, folder)
    model = blueprint.load(paths["blueprint.json"], paths["weights.safetensors"])
    started = post_training.quantize(model, plan.interface, NUMERICS["asymmetric"], lambda: batches)
    assert started.undone == () and started.in_float == ()
    steps = emit.logit_steps(started.model)
    to_onnx.write(model, folder / "float.onnx", plan.interface)
    edit = {
        "name": "quantize",
        "scheme": "asymmetric",
        "blocks": dict(blocks.DEFAULT),
        "scaled": started.smoothing.scaled,
    }
    quantized = plan.model_copy(update={"edits": (edit,)})
    paths = blueprint.save(started.model, quantized, folder)
    again = blueprint.load(paths["blueprint.json"], paths["weights.safetensors"])
    for profile, engine in (("x86", "onnxruntime"), ("openvino", "openvino")):
        written = emit.prepare_export(again, PROFILES[profile])
        path = to_onnx.write(written, folder / f"{profile}.onnx", plan.interface)
        faked = emit.fake_quantize(again, PROFILES[profile])
        for file, torch_model, allowed in (
            (folder / "float.onnx", model, [1e-4] * len(steps)),
            (path, faked, [2 * (step or 0) for step in steps]),
        ):
            if engine == "onnxruntime":
                session = ort.load({"model.onnx": file}, "fp32", 1)
            else:
                session = openvino.load(openvino.build(file, folder, "fp32"), "fp32", 1)
            yield Deployed(session, torch_model, allowed)


def require_deploys(
    plan: Blueprint, batches: list[Inputs], tried: list[Inputs], folder: Path
) -> None:
    """Both engines must agree with torch on `tried`, in float and in int8."""
    for deployed in deploy(plan, batches, folder):
        for inputs in tried:
            got = deployed.run(plan.interface, inputs)
            with torch.no_grad():
                want = [each.numpy() for each in as_tuple(deployed.model(*inputs))]
            for one, other, most in zip(got, want, deployed.allowed, strict=True):
                assert one.shape == other.shape
                assert np.sqrt(np.square(one - other).mean()) < most
