"""Candidate ranks: aligned, smaller than the layer; by energy and noise as numpy has it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgekd.learn.lowrank import chain
from edgekd.learn.lowrank import ranks
from edgekd.learn.lowrank.chain import PlainLayer

CONV = PlainLayer(64, 128, False, (3, 3), (1, 1), (1, 1))


@pytest.mark.parametrize("structure", ["reshape", "spatial", "tucker2"])
@pytest.mark.parametrize("multiple", [8, 16])
def test_the_grid_is_aligned_and_saves_parameters(structure: str, multiple: int) -> None:
    found = ranks.list_ranks(CONV, structure, multiple=multiple, most=1000)
    assert len(set(found)) == len(found) and found
    for each in found:
        assert all(rank % multiple == 0 for rank in each)
        assert chain.count_parameters(chain.split_layer(CONV, structure, each)) < CONV.parameters
    some = ranks.list_ranks(CONV, structure, multiple=multiple, most=3)
    assert len(some) == 3 and some[0] == found[0] and some[-1] == found[-1]


def test_break_even_by_hand() -> None:
    # r < k^2 I O / (k^2 I + O) = 576 * 128 / 704 = 104.7
    assert max(ranks.list_ranks(CONV, "reshape", multiple=8, most=99)) == (104,)
    # r < k^2 I O / (k (I + O)) = 3 * 64 * 128 / 192 = 128, not at it
    assert max(ranks.list_ranks(CONV, "spatial", multiple=8, most=99)) == (120,)
    # m n / (m + n) = 64 * 128 / 192 = 42.7
    assert max(ranks.list_ranks(PlainLayer(64, 128, False), "svd", multiple=8, most=99)) == (40,)


def test_which_structures_fit() -> None:
    assert ranks.find_structures(CONV, "auto") == ["reshape", "spatial", "tucker2"]
    assert (
        ranks.find_structures(CONV, "spatial") == ["spatial"]
        and ranks.find_structures(CONV, "svd") == []
    )
    assert ranks.find_structures(CONV._replace(kernel=(1, 3)), "auto") == ["reshape", "tucker2"]
    assert ranks.find_structures(PlainLayer(8, 8, False), "tucker2") == ["svd"]


def test_energy_counts_what_is_kept() -> None:
    matrix = np.diag([3.0, 2.0, 1.0])  # energies 9, 4, 1 of 14
    shares = {0.5: 1, 9 / 14: 1, 0.65: 2, 13 / 14: 2, 0.95: 3, 1.0: 3}
    for share, want in shares.items():
        assert ranks.by_energy([matrix], share) == [want]


def test_unfoldings_have_the_rank_of_their_chain() -> None:
    random = torch.Generator().manual_seed(0)
    part, moments = PlainLayer(6, 9, False, (3, 3)), torch.eye(54)
    for structure, each in (("reshape", (2,)), ("spatial", (4,)), ("tucker2", (2, 5))):
        from edgekd.learn.lowrank import factors

        made = [
            torch.randn(p.outputs, p.inputs, *(p.kernel or (1, 1)), generator=random).double()
            for p in chain.split_layer(part, structure, each)
        ]
        unfolded = ranks.unfold_weight(factors.multiply_factors(made), moments, structure)
        assert tuple(np.linalg.matrix_rank(m) for m in unfolded) == each
        assert ranks.align_ranks(part, structure, list(each), 1) is not None
    assert ranks.align_ranks(CONV, "reshape", [99], 8) == (104,)
    assert ranks.align_ranks(CONV, "reshape", [105], 8) is None
