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


def attention(
    query: Tensor, key: Tensor, value: Tensor, heads: int, scale: float, mask: Tensor | None = None
) -> Tensor:
    """Attention (ONNX 23) of queries [B, S, H D], keys and values [B, T, H D], shaped as `query`; `mask`
    [B, 1 or H, 1 or S, T] is added to the scores."""
    if mask is not None and isinstance(mask.shape[2], int) and mask.shape[2] == 1:
        # the operator takes one row for all queries; ONNX Runtime's kernel wants a row each
        mask = mask.expand(-1, -1, query.shape[1], -1)
    inputs = (query, key, value) if mask is None else (query, key, value, mask)
    attributes = {"q_num_heads": heads, "kv_num_heads": heads, "scale": scale}
    return _made("Attention", inputs, torch.float32, query.shape, **attributes)


def _made(
    name: str,
    inputs: Sequence[Tensor],
    dtype: torch.dtype,
    shape: Sequence[int | torch.SymInt],
    **attributes: float,
) -> Tensor:
    made: Tensor = torch.onnx.ops.symbolic(name, inputs, attrs=attributes, dtype=dtype, shape=shape)
    return made
