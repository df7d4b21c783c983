"""GPTQ against what it is for: the layer's output, and against rounding the inputs one by one with a solver."""

from __future__ import annotations

import torch

from edgekd.learn.weight_only.formats import BlockFormat
from edgekd.learn.weight_only.gptq import DAMPING
from edgekd.learn.weight_only.gptq import compensate_weights
from edgekd.learn.weight_only.quantizer import BlockQuantizer
from edgekd.learn.weight_only.scales import BlockScales
from edgekd.learn.weight_only.scales import search_scales

FORM = BlockFormat(4, 16, symmetric=True)


def layer() -> tuple[torch.Tensor, torch.Tensor]:
    """Weights [24, 160], and inputs whose directions are of very different size."""
    random = torch.Generator().manual_seed(0)
    mixing = torch.randn(160, 160, generator=random) / 12 + torch.eye(160)
    inputs = torch.randn(2000, 160, generator=random) @ mixing
    return torch.randn(24, 160, generator=random), inputs


def rounded(weight: torch.Tensor, found: BlockScales) -> torch.Tensor:
    quantizer = BlockQuantizer((weight.shape[0], weight.shape[1]), FORM)
    quantizer.set_scales(*found)
    return quantizer(weight).detach()


def test_the_output_is_nearer_than_by_plain_rounding() -> None:
    weight, inputs = layer()
    found = search_scales(weight, FORM)
    latent = compensate_weights(weight, inputs.T @ inputs / len(inputs), found, FORM)
    plain, ours = (
        ((rounded(w, found) - weight) @ inputs.T).square().mean() for w in (weight, latent)
    )
    assert float(ours) < 0.8 * float(plain)


def test_each_input_is_rounded_as_what_is_left_wants_it() -> None:
    """The same by least squares: after each input, the others are solved for anew (Frantar et al. 2023, eq. 2)."""
    weight, inputs = layer()
    weight, inputs = weight[:3, :32].double(), inputs[:, :32].double()
    moments = inputs.T @ inputs / len(inputs)
    found = search_scales(weight, FORM)
    latent = compensate_weights(weight.float(), moments.float(), found, FORM)
    damped = moments + DAMPING * moments.diagonal().mean() * torch.eye(32)
    order = moments.float().diagonal().argsort(descending=True, stable=True).tolist()
    rest = weight.clone()
    for at, column in enumerate(order):
        scale = found.scale[:, column // 16].double()
        code = (rest[:, column] / scale).round().clamp(-8, 7) * scale
        off, later = code - rest[:, column], order[at + 1 :]
        rest[:, column] = code
        if later:
            moved = torch.linalg.solve(damped[later][:, later], damped[later][:, [column]])
            rest[:, later] -= (moved @ off[None]).T
    assert torch.allclose(rounded(latent, found).double(), rest, atol=1e-5)


def test_an_input_that_is_always_zero_changes_nothing() -> None:
    weight, inputs = layer()
    inputs[:, 5] = 0
    found = search_scales(weight, FORM)
    latent = compensate_weights(weight, inputs.T @ inputs / len(inputs), found, FORM)
    assert torch.isfinite(latent).all() and torch.allclose(latent[:, 5], weight[:, 5])
