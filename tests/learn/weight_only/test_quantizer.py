"""Rounding in blocks and its gradients, against numbers counted otherwise."""

from __future__ import annotations

import torch

from edgekd.learn.weight_only.formats import BlockFormat
from edgekd.learn.weight_only.quantizer import BlockQuantizer


def test_codes_times_scales_are_what_it_gives() -> None:
    weight = torch.randn(4, 64, generator=torch.Generator().manual_seed(0))
    for form in (BlockFormat(4, 32, True), BlockFormat(8, 16, True), BlockFormat(4, 16, False)):
        quantizer = BlockQuantizer((4, 64), form)
        shape = (4, 64 // form.group)
        quantizer.set_scales(
            torch.linspace(-0.3, 0.4, 4 * shape[1]).reshape(shape), torch.full(shape, 5)
        )
        codes = quantizer.codes(weight)
        assert codes.dtype == torch.uint8 and int(codes.max()) <= form.high
        values = (codes.float() - 5) * quantizer.scales()[..., None]
        assert torch.allclose(quantizer(weight), values.flatten(1), atol=1e-6)


def test_gradients_are_those_of_lsq() -> None:
    """Straight through inside the range; of log s, s times what rounding leaves, or the code at the end."""
    quantizer = BlockQuantizer((1, 16), BlockFormat(4, 16, True))
    quantizer.set_scales(torch.tensor([[-0.5]]))
    weight = torch.tensor([[0.3, 10.0, -0.7, -9.0, *[0.0] * 12]], requires_grad=True)
    outer = torch.arange(1.0, 17.0)
    (quantizer(weight) * outer).sum().backward()
    assert weight.grad is not None and quantizer.log_scale.grad is not None
    assert weight.grad[0, :4].tolist() == [1.0, 0.0, 3.0, 0.0]
    # 0.3 -> code -1 -> 0.5; 10 -> code -8 -> 4; -0.7 -> 1 -> -0.5; -9 -> 7 -> -3.5
    want = 1 * (0.5 - 0.3) + 2 * 4.0 + 3 * (-0.5 + 0.7) + 4 * -3.5
    assert abs(float(quantizer.log_scale.grad) - want) < 1e-5
