"""One's own module quantized for engines, from Python."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import Literal
from typing import get_args

from edgekd import devices
from edgekd import runtimes
from edgekd import synonyms
from edgekd.device import Device
from edgekd.errors import InputError
from edgekd.plan.profiles import runtime_profile
from edgekd.profile import PROFILES
from edgekd.profile import has_blocks

if TYPE_CHECKING:
    from torch import nn

    from edgekd.learn.standalone.quantization import QuantizedModule

Method = Literal["auto", "min-max", "percentile-99.99", "percentile-99.9", "mse"]


def quantize(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    targets: str | Sequence[str] = ("onnxruntime",),
    samples: int = 512,
    calibration: Method = "auto",
    float_layers: str | Sequence[str] = (),
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
        InputError: if the model or a batch does not fit, a number is out of range, or a target has no int8.
        MachineError: if a package is missing.

    >>> import edgekd
    >>> quantized = edgekd.quantize(model, loader, targets=("onnxruntime", "openvino"))
    >>> quantized.agreement, quantized.save("int8")
    """
    _require_number("weight_bits", weight_bits, 2, 8)
    _require_number("samples", samples, 1, 2**31)
    _require_number("equalize", equalize, 0, 1)
    if not targets:
        raise InputError("targets: got none, want an engine or more")
    if calibration not in get_args(Method):
        raise InputError(
            f"calibration: got {calibration!r}, want one of: {', '.join(get_args(Method))}"
        )
    from edgekd.learn.standalone.quantization import quantize_module

    where = devices.find_device(device)
    return quantize_module(
        model,
        batches,
        {target: _profile(target, where) for target in _as_names(targets)},
        samples=samples,
        method=calibration,
        float_layers=_as_names(float_layers),
        weight_bits=weight_bits,
        equalize=equalize,
        correct_bias=correct_bias,
    )


def _require_number(name: str, value: float, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InputError(f"{name}: got {value!r}, want {least} to {most}")


def _as_names(value: str | Sequence[str]) -> tuple[str, ...]:
    """One name or several."""
    return (value,) if isinstance(value, str) else tuple(value)


def _profile(target: str, device: Device) -> str:
    if target in PROFILES and not has_blocks(target):
        return target
    runtime = synonyms.find_name(target, runtimes.RUNTIMES, synonyms.NAMES["runtime"])
    runtimes.find_entry(runtime)
    profile = runtime_profile(runtime, (), device)
    if profile is None:
        raise InputError(f"targets: got {target!r}, which runs no int8, want an engine that does")
    return profile
