"""Scales of blocks, against a search over every scale by brute force."""

from __future__ import annotations

import pytest
import torch

from edgekd.learn.weight_only import scales
from edgekd.learn.weight_only.formats import BlockFormat
from edgekd.learn.weight_only.quantizer import BlockQuantizer
from edgekd.learn.weight_only.scales import BlockScales
from edgekd.learn.weight_only.scales import range_scales
from edgekd.learn.weight_only.scales import search_scales

FORM = BlockFormat(4, 16, symmetric=True)
OWN_ZEROS = BlockFormat(4, 16, symmetric=False)


def rounded(weight: torch.Tensor, form: BlockFormat, found: BlockScales) -> torch.Tensor:
    quantizer = BlockQuantizer((weight.shape[0], weight.shape[1]), form)
    quantizer.set_scales(*found)
    return quantizer(weight).detach()


def weights() -> torch.Tensor:
    return torch.randn(8, 48, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("form", [FORM, OWN_ZEROS])
def test_a_range_holds_the_largest_weight(form: BlockFormat) -> None:
    weight = weights()
    off = (rounded(weight, form, range_scales(weight, form)) - weight).abs()
    peak = weight.unflatten(1, (-1, 16)).abs().amax(-1)
    reached = torch.where(
        weight.unflatten(1, (-1, 16)).abs() == peak[..., None], off.unflatten(1, (-1, 16)), 0
    )
    assert float(reached.max()) <= 1e-6 if form.symmetric else float(off.max()) <= 0.25


def test_the_search_comes_near_the_best_of_all_scales() -> None:
    weight = weights()[:2, :16]
    off = (rounded(weight, FORM, search_scales(weight, FORM)) - weight).square().sum(1)
    every = torch.cat([torch.linspace(0.05, 0.6, 3000), -torch.linspace(0.05, 0.6, 3000)])
    codes = (weight[None] / every[:, None, None]).round().clamp(-8, 7)
    best = (codes * every[:, None, None] - weight[None]).square().sum(2).amin(0)
    plain = (rounded(weight, FORM, range_scales(weight, FORM)) - weight).square().sum(1)
    assert (off <= best * 1.1).all() and (off < plain).all()


def test_rows_are_searched_in_pieces_to_the_same_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    form, weight = BlockFormat(4, 16, False), torch.randn(37, 64)
    whole = search_scales(weight, form)
    monkeypatch.setattr(scales, "VALUES", 5 * 64)
    for want, got in zip(whole, search_scales(weight, form), strict=True):
        assert torch.equal(got, want) and len(got) == 37


def test_weights_count_as_their_inputs_do() -> None:
    weight, importance = weights(), torch.ones(48)
    importance[::16] = 1000.0
    off = (rounded(weight, FORM, search_scales(weight, FORM, importance)) - weight).abs()
    plain = (rounded(weight, FORM, search_scales(weight, FORM)) - weight).abs()
    assert float(off[:, ::16].mean()) < 0.5 * float(plain[:, ::16].mean())


def test_blocks_of_zeros_stay_zeros() -> None:
    weight = torch.zeros(2, 32)
    for form in (FORM, OWN_ZEROS):
        assert not rounded(weight, form, search_scales(weight, form)).any()
