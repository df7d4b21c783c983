"""Precision and memory order."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekd.learn.training import arithmetic


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))


def test_what_is_fastest_is_one_of_what_was_tried() -> None:
    found = arithmetic.fastest(net(), (4, 1, 4, 4), threads=1)
    assert found.precision in ("fp32", "bf16")
    assert found.threads == 1


def test_a_variant_must_be_worth_it() -> None:
    took = {("None", False): 1.0, ("None", True): 0.95, ("torch.bfloat16", False): 0.5}

    def step_s(model: nn.Module, images: torch.Tensor, dtype: object, last: bool) -> float:
        return took.get((str(dtype), last), 0.49)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arithmetic, "_step_s", step_s)
        found = arithmetic.fastest(net(), (1, 1, 4, 4), threads=1)
    assert (found.precision, found.channels_last) == ("bf16", False)


def test_determinism_is_put_back() -> None:
    before = torch.get_num_threads()
    with arithmetic.deterministic(3, 1):
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
        first = torch.rand(3)
    with arithmetic.deterministic(3, 1):
        assert torch.equal(first, torch.rand(3))
    assert torch.get_num_threads() == before
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory


@pytest.mark.parametrize("warn_only", [False, True])
def test_what_a_caller_had_set_is_put_back_after_an_error_too(warn_only: bool) -> None:
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        with pytest.raises(KeyError), arithmetic.deterministic(3, 1):
            raise KeyError
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled() == warn_only
        assert not torch.utils.deterministic.fill_uninitialized_memory
    finally:
        torch.use_deterministic_algorithms(False)
        torch.utils.deterministic.fill_uninitialized_memory = True


def test_layouts() -> None:
    images = torch.zeros(2, 3, 4, 4)
    last = arithmetic.laid_out(images, True)
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert arithmetic.laid_out(last, False).is_contiguous()
