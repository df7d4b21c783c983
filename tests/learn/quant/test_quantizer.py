"""A quantizer rounds as ONNX says and learns as LSQ says."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings

from edgekd.learn.quant.quantizer import SMALLEST_STEP
from edgekd.learn.quant.quantizer import ActivationQuantizer
from edgekd.learn.quant.quantizer import WeightQuantizer

FINITE = st.floats(-100, 100, width=32)


def reference(x: np.ndarray, step: np.float32, zero: int, low: int, high: int) -> np.ndarray:
    """QuantizeLinear and DequantizeLinear as the ONNX operators define them: ties to even, saturated."""
    codes = np.clip(np.rint(x / step) + zero, low, high)
    return ((codes - zero) * step).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(st.lists(FINITE, min_size=1, max_size=30), FINITE, FINITE, st.booleans())
def test_as_onnx_defines_it(values: list[float], a: float, b: float, symmetric: bool) -> None:
    quantizer = ActivationQuantizer("x", symmetric=symmetric)
    quantizer.set_range(min(a, b), max(a, b))
    x = torch.tensor([values])
    want = reference(
        x.numpy(),
        np.float32(quantizer.step()),
        int(quantizer.zero),
        quantizer.low,
        quantizer.high,
    )
    assert np.array_equal(quantizer(x).detach().numpy(), want)
    again = quantizer(quantizer(x)).detach().numpy()
    assert np.array_equal(again, want)  # what is on the grid stays there


@settings(deadline=None)
@given(FINITE, FINITE, st.booleans())
def test_a_range_is_covered_and_zero_has_a_code(a: float, b: float, symmetric: bool) -> None:
    quantizer = ActivationQuantizer("x", symmetric=symmetric)
    least, most = min(a, b), max(a, b)
    quantizer.set_range(least, most)
    x = torch.tensor([[0.0, least, most]])
    y = quantizer(x).detach()
    assert y[0, 0] == 0
    assert (y - x).abs().max() <= quantizer.step() * 0.5001 + 1e-6


def test_a_tensor_that_is_always_zero_stays_zero() -> None:
    quantizer = ActivationQuantizer("x", symmetric=False)
    quantizer.set_range(0.0, 0.0)
    assert quantizer.step() == pytest.approx(SMALLEST_STEP)
    assert quantizer(torch.zeros(1, 3)).abs().max() == 0


def test_gradients_are_those_of_the_paper() -> None:
    # step 0.5, zero-point 2, codes 0 to 255: covers [-1, 126.5]
    quantizer = ActivationQuantizer("x", symmetric=False)
    with torch.no_grad():
        quantizer.log_step.fill_(math.log(0.5))
        quantizer.zero.fill_(2)
    x = torch.tensor([[-3.0, 0.3, 126.0, 500.0]], requires_grad=True)
    quantizer(x).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[0.0, 1.0, 1.0, 0.0]]
    # LSQ eq. 3: code - zero outside, rounding error in steps inside; times s for the logarithm
    by_hand = (-2 + (1 - 0.6) + 0 + 253) * 0.5
    share = 1 / math.sqrt(4 * 255)
    assert quantizer.log_step.grad is not None
    assert quantizer.log_step.grad.item() == pytest.approx(by_hand * share, rel=1e-5)


def test_the_step_of_a_channel_hears_that_channel_alone() -> None:
    quantizer = WeightQuantizer("w", 2, 2, bits=8)
    quantizer.set_steps(torch.tensor([0.1, 0.2]))
    weight = torch.tensor([[0.11, 0.26], [0.3, 0.1]], requires_grad=True)
    quantizer(weight)[0].sum().backward()
    gradient = quantizer.log_step.grad
    assert gradient is not None and gradient[1] == 0
    error = (0.1 - 0.11) + (0.3 - 0.26)
    assert gradient[0].item() == pytest.approx(error / math.sqrt(2 * 127), rel=1e-3)


@pytest.mark.parametrize(("bits", "high"), [(8, 127), (7, 63), (4, 7), (2, 1)])
def test_weights_keep_the_smallest_code_free(bits: int, high: int) -> None:
    quantizer = WeightQuantizer("w", 1, 4, bits=bits)
    quantizer.set_steps(torch.tensor([0.01]))
    codes = quantizer.codes(torch.tensor([-9.0, 9.0, 0.0]).reshape(1, 3, 1, 1))
    assert codes.dtype == torch.int8 and codes.flatten().tolist() == [-high, high, 0]


def test_switched_off_it_does_nothing() -> None:
    for quantizer in (ActivationQuantizer("x", symmetric=True), WeightQuantizer("w", 1, 2, bits=8)):
        quantizer.enabled = False
        x = torch.tensor([[0.123]])
        assert quantizer(x) is x


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_half_and_near(dtype: torch.dtype) -> None:
    quantizer = ActivationQuantizer("x", symmetric=False)
    quantizer.set_range(0.0, 4.0)
    x = torch.linspace(0, 4, 50)[None].to(dtype)
    y = quantizer(x)
    assert y.dtype == dtype
    assert (y.float() - x.float()).abs().max() < 0.03
