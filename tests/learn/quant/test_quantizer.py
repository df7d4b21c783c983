"""A quantizer rounds as ONNX says and learns as LSQ says."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings

from edgekd.learn.quant.calibration import weight_steps
from edgekd.learn.quant.quantizer import SMALLEST_STEP
from edgekd.learn.quant.quantizer import ActivationQuantizer
from edgekd.learn.quant.quantizer import WeightQuantizer
from edgekd.learn.quant.quantizer import _weight_scale

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
    scale = math.sqrt(255 / 4)
    assert quantizer.log_step.grad is not None
    assert quantizer.log_step.grad.item() == pytest.approx(by_hand * scale, rel=1e-5)


def test_the_step_of_a_channel_hears_that_channel_alone() -> None:
    quantizer = WeightQuantizer("w", 2, 2, bits=8)
    quantizer.set_steps(torch.tensor([0.1, 0.2]))
    weight = torch.tensor([[0.11, 0.26], [0.3, 0.1]], requires_grad=True)
    quantizer(weight)[0].sum().backward()
    gradient = quantizer.log_step.grad
    assert gradient is not None and gradient[1] == 0
    errors = (0.1 - 0.11, 0.3 - 0.26)  # s dy/ds inside the range
    norm = math.sqrt((0.11**2 + 0.26**2 + 0.3**2 + 0.1**2) / 2)
    by_hand = sum(errors) / (norm * math.sqrt((errors[0] ** 2 + errors[1] ** 2) / 2))
    assert gradient[0].item() == pytest.approx(by_hand, rel=1e-3)


BITS = (8, 4, 3, 2)
SIZES = (1e-2, 1.0, 1e2)
"""Units in which the same values are given; the loss is the same function of what they stand for."""


def updated(
    quantizer: ActivationQuantizer | WeightQuantizer,
    values: torch.Tensor,
    size: float,
    make: type[torch.optim.Optimizer],
    rate: float,
) -> tuple[float, float]:
    """One update of the step and of `values`: the root mean squares of their relative moves."""
    torch.manual_seed(1)
    upstream = torch.randn(values.shape) * 1e-2 / size
    rounded = torch.nn.Parameter(values.clone())
    before = quantizer.log_step.detach().clone()
    optimizer = make([rounded, quantizer.log_step], lr=rate)
    (quantizer(rounded) * upstream).sum().backward()
    optimizer.step()
    move = (quantizer.log_step.detach() - before).square().mean().sqrt()
    return float(move), float((rounded.detach() - values).norm() / values.norm())


def weight_quantizer(bits: int, size: float) -> tuple[WeightQuantizer, torch.Tensor]:
    torch.manual_seed(0)
    weight = torch.randn(64, 288) * size
    quantizer = WeightQuantizer("w", 64, 2, bits=bits)
    quantizer.set_steps(weight_steps(weight, quantizer))
    return quantizer, weight


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bits", BITS)
def test_steps_and_weights_move_by_like_relative_amounts_under_sgd(bits: int, size: float) -> None:
    quantizer, weight = weight_quantizer(bits, size)
    step, weights = updated(quantizer, weight, size, torch.optim.SGD, 1e-3 * size**2)
    assert 0.7 < step / weights < 1.4
    assert weights > 1e-7  # float32 tells the moves apart


@pytest.mark.parametrize("bits", BITS)
def test_the_step_of_an_activation_moves_in_no_unit_under_sgd(bits: int) -> None:
    moves = []
    for size in SIZES:
        torch.manual_seed(0)
        images = torch.randn(16, 8, 14, 14) * size
        quantizer = ActivationQuantizer("x", symmetric=False, bits=bits)
        quantizer.set_range(-2.9 * size, 3.1 * size)
        moves.append(updated(quantizer, images, size, torch.optim.SGD, 1.0)[0])
    assert max(moves) < 1.05 * min(moves)
    # a gain of 1 before it would move each element by |dL/dx| |x| / sqrt(N) = 1e-2 sqrt(16)
    assert 0.05 < moves[1] / 4e-2 < 2


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bits", BITS)
def test_steps_move_by_the_rate_under_adam(bits: int, size: float) -> None:
    quantizer, weight = weight_quantizer(bits, size)
    assert updated(quantizer, weight, size, torch.optim.Adam, 1e-3)[0] == pytest.approx(
        1e-3, rel=0.05
    )
    activations = ActivationQuantizer("x", symmetric=False, bits=bits)
    activations.set_range(-2.9 * size, 3.1 * size)
    assert updated(activations, weight, size, torch.optim.Adam, 1e-3)[0] == pytest.approx(
        1e-3, rel=0.05
    )


@pytest.mark.parametrize("weak", [0.0, 1e-9])
def test_a_channel_of_almost_no_weight_is_not_thrown_about(weak: float) -> None:
    quantizer, weight = weight_quantizer(8, 1.0)
    weight = weight * 0.05
    weight[0] *= weak
    quantizer.set_steps(weight_steps(weight, quantizer))
    learned = torch.nn.Parameter(weight)
    goal = torch.randn(64, 288) * 0.05
    optimizer = torch.optim.SGD([learned, quantizer.log_step], lr=0.1, momentum=0.9)
    for _ in range(50):
        optimizer.zero_grad()
        (quantizer(learned) - goal).square().sum().backward()
        optimizer.step()
    assert quantizer(learned).isfinite().all()
    assert quantizer.log_step.detach().exp().max() < 0.05


def test_the_scale_of_weights_has_a_limit_where_they_vanish() -> None:
    """k = 1 / (|w| rms(dy/du)), |w| at least 2^-20 and rms(dy/du) at least 2^-40."""
    zeros, ones = torch.zeros(2, 3), torch.ones(2, 3)
    assert _weight_scale(zeros, 2 * ones).flatten().tolist() == [2.0**19] * 2
    assert _weight_scale(ones / math.sqrt(3), zeros).flatten().tolist() == pytest.approx(
        [2.0**40] * 2
    )


@pytest.mark.parametrize(("bits", "high"), [(8, 127), (7, 63), (4, 7), (2, 1)])
def test_weights_keep_the_smallest_code_free(bits: int, high: int) -> None:
    quantizer = WeightQuantizer("w", 1, 4, bits=bits)
    quantizer.set_steps(torch.tensor([0.01]))
    codes = quantizer.codes(torch.tensor([-9.0, 9.0, 0.0]).reshape(1, 3, 1, 1))
    assert codes.dtype == torch.int8 and codes.flatten().tolist() == [-high, high, 0]


@settings(deadline=None, max_examples=40)
@given(st.lists(FINITE, min_size=1, max_size=30), FINITE, FINITE, st.booleans())
def test_without_gradients_it_rounds_alike(
    values: list[float], a: float, b: float, symmetric: bool
) -> None:
    quantizer = ActivationQuantizer("x", symmetric=symmetric)
    quantizer.set_range(min(a, b), max(a, b))
    x = torch.tensor([values])
    learned = quantizer(x).detach()
    with torch.no_grad():
        assert torch.equal(quantizer(x), learned)
    assert x.tolist() == [[np.float32(value) for value in values]]


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


@pytest.mark.parametrize("copies", [1, 2, 5])
def test_the_gradient_scale_is_of_one_sample(copies: int) -> None:
    """A batch of the same sample so many times: so many times the gradient of one."""
    one = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0))
    found = []
    for count in (1, copies):
        quantizer = ActivationQuantizer("x", symmetric=False, bits=4)
        quantizer.set_range(-1, 2)
        quantizer(one.repeat(count, 1, 1)).sum().backward()
        assert quantizer.log_step.grad is not None
        found.append(float(quantizer.log_step.grad))
    assert found[1] == pytest.approx(copies * found[0], rel=1e-5) and found[0] != 0
