"""What a recipe may say of a step that quantizes. Imports no torch."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

from pydantic import Field

from edgekd.learn.settings import BY_TASK
from edgekd.learn.settings import OptimizerName
from edgekd.learn.settings import OptionalLosses
from edgekd.learn.settings import Schedule
from edgekd.learn.settings import Training
from edgekd.settings import Fraction
from edgekd.settings import NonNegative
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.settings import omit_default

Bits = Annotated[int, Field(ge=2, le=8)]
Block = Literal["attention-products", "other-products", "embeddings"]
Method = Literal["auto", "min-max", "percentile-99.99", "percentile-99.9", "mse"]


class Learning(Training):
    """Training of a quantized model: shorter and gentler than one that starts from random weights."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 3
    optimizer: OptimizerName = "adamw"
    learning_rate: Positive = 3e-4
    weight_decay: NonNegative = 0.0
    schedule: Schedule = "cosine"


BLOCK_RATE = 5e-5
"""The learning rate of weights in blocks where a recipe does not say one: they begin nearer to the float model than int8
activations do, and 3e-4 leads away from there (benchmarks/weight_only)."""


class BlockSettings(Settings):
    """Of weights that are stored in blocks, activations left in float: for networks that read more weights than they
    compute, such as decoders."""

    weights: Literal["int4", "int8"] | None = omit_default(None)
    """Weights alone are stored in so many bits; none is int8 with activations in int8, too."""
    group: Literal[16, 32, 64, 128] = omit_default(32)
    """Weights along a row that share a scale; where they do not divide a layer's inputs, fewer do."""
    symmetric: bool = omit_default(True)
    """Whether blocks are without a zero-point of their own; with one they lose less and take an eighth more bits."""
    head: Literal["int4", "int8", "float"] = omit_default("int8")
    """How the last linear layer is stored."""
    embeddings: Literal["int8", "float"] = omit_default("int8")
    """How tables that are looked up are."""
    rounding: Literal["auto", "nearest", "least-squares", "weighted", "gptq"] = omit_default("auto")
    """How weights are rounded before they learn: to the nearest code of a block's range; of the range that differs least;
    the same with weights that count as their inputs do; so that later ones make up for earlier ones (GPTQ). Auto
    tries all and keeps what answers most like the float model."""


class NumericsSettings(BlockSettings):
    """The number formats of a quantized network, as a recipe says them."""

    profiles: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    """Names of `edgekd.profile.PROFILES`; profiles with the same numerics are tried once."""
    weight_bits: int = 8
    layer_bits: dict[str, int] = {}
    float_layers: Annotated[tuple[str, ...], Field(strict=False)] = ()


class QuantizeSettings(BlockSettings):
    """Settings in a recipe."""

    losses: OptionalLosses = BY_TASK
    """The terms that are summed; where they are left out, how the task learns from answers. Labels are not needed."""
    teachers: Annotated[
        tuple[Literal["student", "teacher"], ...], Field(min_length=1, max_length=2, strict=False)
    ] = ("student", "teacher")
    """Who teaches: the float student itself, the teacher, or the mean of their logits."""
    knowledge: Literal["stored", "online"] = "stored"
    """The teacher's answers are read back, or asked anew at every step."""
    train: Learning | None = Learning()
    """How it learns; none is post-training quantization alone. Weights in blocks learn at a rate of 5e-5, where nothing is
    said."""
    calibration: Method = "auto"
    """How ranges are found; auto tries all and keeps the one that answers most like the float model."""
    calibration_samples: Annotated[int, Field(ge=1, le=1_000_000)] = 512
    """Training samples on which they are."""
    equalize: Fraction | Literal["auto"] = "auto"
    """How much of the difference between channels of activations moves into weights; 0 is off, auto tries by kind of place."""
    correct_bias: bool = True
    """Undo mean errors in biases before learning, where that helps."""
    learn_steps: bool = True
    """Whether step sizes are learned with the weights; else they stay as they were calibrated."""
    weight_bits: Bits = 8
    """Of every quantized weight; with 4 or less the file holds half the bytes."""
    layer_bits: dict[str, Bits] = {}
    """Of single layers, by module path."""
    float_layers: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Layers that keep their precision, by module path."""
    blocks: dict[Block, Literal["int8", "float"]] = {}
    """What a kind of block runs in, where it is not as in the table (docs/tutorials/quantize.md)."""
    score_drop: NonNegative | None = None
    """How far the validation score may be below the float student's: the costliest layers keep their
    precision until that holds. Only then what each layer costs is found out."""
