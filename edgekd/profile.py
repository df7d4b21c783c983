"""Which Q/DQ graph each engine runs fast: one trained model is written out once a profile.

*Numerics* are the number formats that training sees; a *profile* writes them for an engine. Two
profiles with the same numerics compute the same function.
"""

from __future__ import annotations

from typing import Literal
from typing import NamedTuple


class Numerics(NamedTuple):
    """The number formats of a quantized model: learned once, shared by the profiles that can run them."""

    name: str
    symmetric: bool
    """Activations in [-128, 127] with zero-point 0; else 256 levels with any zero-point."""
    weight_bits: int
    """Weights in [-(2^(b-1) - 1), 2^(b-1) - 1], one scale an output channel."""
    outputs: bool
    """Whether what a convolution gives is quantized too where a float operator takes it. An engine
    that fuses Q/DQ by matching (ONNX Runtime) runs the convolution in float without."""
    blocks: bool = False
    """Whether weights alone are stored in few bits, in blocks with a scale each, and activations stay float."""


class Profile(NamedTuple):
    """Numerics as one engine wants them written."""

    name: str
    numerics: str
    """A name of `NUMERICS`."""
    fuses_activations: bool
    """Whether it runs a convolution in int8 and the activation after it in float, in one kernel: then
    nothing is rounded between them."""
    matches_patterns: bool
    """Whether it finds int8 operators by the Q/DQ right around them: then values that were only moved
    are rounded again, weights lie as the product reads them, and their zero-points are stated. To an
    engine that moves Q/DQ through its graph all three are operators to run."""
    activation: Literal["u8", "s8"]
    """Stored type of the activations; an asymmetric s8 is the u8 with its zero-point 128 lower."""
    summary: str
    one_attention: bool = False
    """Whether an attention in float is written as one operator, of operator set 23."""


QUANTIZED = ("int8", "int8-bf16", "int4")
"""Precisions of files whose weights at least are stored in so many bits."""
STORED = {"int8-bf16": "int8"}
"""What the file is stored in, where a precision says besides what the rest of it runs in."""

NUMERICS: dict[str, Numerics] = {
    numerics.name: numerics
    for numerics in (
        Numerics("asymmetric", symmetric=False, weight_bits=8, outputs=True),
        Numerics("asymmetric-w7", symmetric=False, weight_bits=7, outputs=True),
        Numerics("symmetric", symmetric=True, weight_bits=8, outputs=False),
        Numerics("weight-blocks", symmetric=True, weight_bits=8, outputs=False, blocks=True),
    )
}

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("x86", "asymmetric", False, True, "u8", "ONNX Runtime on x86 with VNNI", True),
        Profile(
            "x86-no-vnni",
            "asymmetric-w7",
            False,
            True,
            "u8",
            "ONNX Runtime on x86 without VNNI",
            True,
        ),
        Profile("arm", "asymmetric", False, True, "s8", "ONNX Runtime on ARM64"),
        Profile("openvino", "asymmetric", True, False, "u8", "OpenVINO on the CPU"),
        Profile("tensorrt", "symmetric", True, True, "s8", "TensorRT, explicit quantization"),
        Profile(
            "weight-blocks",
            "weight-blocks",
            False,
            False,
            "s8",
            "MatMulNBits: ONNX Runtime and OpenVINO",
        ),
    )
}


def stored_precision(precision: str) -> str:
    """The precision of the file that is run: ``int8`` of ``int8-bf16``, any other is its own."""
    return STORED.get(precision, precision)


def has_blocks(profile: str) -> bool:
    """Return whether a profile stores weights alone, in blocks."""
    return NUMERICS[PROFILES[profile].numerics].blocks
