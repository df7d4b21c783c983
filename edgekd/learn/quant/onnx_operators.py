"""ONNX operators that torch has not, as functions a traced model may call; they run in an export alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def quantize(x: Tensor, step: Tensor, zero: Tensor) -> Tensor:
    """QuantizeLinear: codes of the type of `zero`, shaped as `x`."""
    return _made("QuantizeLinear", (x, step, zero), zero.dtype, x.shape)


def dequantize(codes: Tensor, step: Tensor, zero: Tensor | None, axis: int | None = None) -> Tensor:
    """DequantizeLinear: float32, shaped as `codes`; a step an index of `axis` if that is given; without a
    zero-point it is 0."""
    attributes = {} if axis is None else {"axis": axis}
    inputs = (codes, step) if zero is None else (codes, step, zero)
    return _made("DequantizeLinear", inputs, torch.float32, codes.shape, **attributes)


def gemm(x: Tensor, weight: Tensor) -> Tensor:
    """Gemm: x [B, features] times weight [O, features] transposed."""
    return _made("Gemm", (x, weight), torch.float32, (x.shape[0], weight.shape[0]), transB=1)


def _made(
    name: str,
    inputs: Sequence[Tensor],
    dtype: torch.dtype,
    shape: Sequence[int | torch.SymInt],
    **attributes: int,
) -> Tensor:
    made: Tensor = torch.onnx.ops.symbolic(name, inputs, attrs=attributes, dtype=dtype, shape=shape)
    return made
