"""One's own module quantized for engines, from Python."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import Literal

from edgekd import devices
from edgekd import runtimes
from edgekd.device import Device
from edgekd.errors import InputError
from edgekd.plan.profiles import runtime_profile
from edgekd.profile import PROFILES

if TYPE_CHECKING:
    from torch import nn

    from edgekd.learn.standalone.quantization import QuantizedModule

Method = Literal["auto", "min-max", "percentile-99.99", "percentile-99.9", "mse"]


def quantize(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    targets: Sequence[str] = ("onnxruntime",),
    samples: int = 512,
    calibration: Method = "auto",
    float_layers: Sequence[str] = (),
    weight_bits: int = 8,
    equalize: float = 0.5,
    correct_bias: bool = True,
    device: str = "local",
) -> QuantizedModule:
    """Quantize a module of one's own after training: int8 weights and activations, calibrated on `batches`.

    Args:
        model: float, traceable by ``torch.export``; left as it is.
        batches: a DataLoader or a list of inputs, of ``(inputs, targets)`` or of mappings by name; targets are passed over.
        targets: engines (`edgekd doctor`), or profiles of `edgekd.profile.PROFILES` by name.
        samples: on how many it is calibrated, at most.
        calibration: how ranges are found; ``auto`` tries all and keeps the one that answers most like `model`.
        float_layers: what keeps its precision, by module path.
        weight_bits: of the weights, 2 to 8; with 4 or less the file holds half the bytes.
        equalize: how much of the difference between channels behind a layer norm moves into weights, 0 to 1.
        correct_bias: whether mean errors are put right in biases, where that helps.
        device: whose processor decides how ONNX Runtime's file is written.

    Returns:
        The quantized model: `save` writes an ONNX file for each target, ``agreement`` says on how many samples it
        answers as `model`, ``in_float`` what has no int8 form.

    Raises:
        InputError: if the model or a batch does not fit, or a target has no int8.
        MachineError: if a package is missing.

    >>> import edgekd
    >>> quantized = edgekd.quantize(model, loader, targets=("onnxruntime", "openvino"))
    >>> quantized.agreement, quantized.save("int8")
    """
    if not 2 <= weight_bits <= 8:
        raise InputError(f"weight_bits: got {weight_bits}, want 2 to 8")
    from edgekd.learn.standalone.quantization import quantize_module

    where = devices.find_device(device)
    return quantize_module(
        model,
        batches,
        {target: _profile(target, where) for target in targets},
        samples=samples,
        method=calibration,
        float_layers=float_layers,
        weight_bits=weight_bits,
        equalize=equalize,
        correct_bias=correct_bias,
    )


def _profile(target: str, device: Device) -> str:
    if target in PROFILES:
        return target
    runtimes.find_entry(target)
    profile = runtime_profile(target, (), device)
    if profile is None:
        raise InputError(f"targets: got {target!r}, which runs no int8, want an engine that does")
    return profile
