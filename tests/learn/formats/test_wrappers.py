"""Weights are found in what training scripts save beside them, and it is said where."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from edgekd.learn.formats.wrappers import unwrap

STATE = {"a.weight": torch.ones(2), "a.bias": torch.zeros(1)}
OLD = {name: value - 1 for name, value in STATE.items()}
ARGS = object()


@pytest.mark.parametrize(
    ("loaded", "under", "beside"),
    [
        (STATE, "", ""),
        ({"state_dict": STATE, "epoch": 3}, "state_dict", ""),
        ({"model": OLD, "model_ema": STATE, "args": ARGS}, "model_ema", ""),
        ({"state_dict": OLD, "state_dict_ema": STATE}, "state_dict_ema", ""),
        ({"model_ema": None, "model": STATE}, "model", ""),
        ({"model": {"depth": 3}, "net": STATE}, "net", ""),
        ({"model": {"state_dict": STATE, "best": 1.0}}, "model.state_dict", ""),
        ({"params_ema": STATE, "params": OLD}, "params_ema", ""),
        ({"generator": STATE, "optimizer": {"state": {0: STATE}}}, "generator", ""),
        ({**STATE, "epoch": 3, "args": ARGS}, "", "epoch, args"),
    ],
)
def test_found(loaded: dict[str, Any], under: str, beside: str) -> None:
    tensors, notes = unwrap(loaded)
    assert tensors.keys() == STATE.keys()
    assert all(torch.equal(tensors[name], STATE[name]) for name in STATE)
    want = [f"the weights are those under {under}"] if under else []
    want += [f"beside the weights {beside} was read over"] if beside else []
    assert list(notes) == want


@pytest.mark.parametrize(
    ("loaded", "want"),
    [
        ([torch.ones(1)], "got list, want a dict"),
        ({1: torch.ones(1)}, "got a key of type int"),
        ({"config": {"depth": 3}}, "got no tensors, config is a dict"),
        (
            {"generator": STATE, "discriminator": OLD},
            "got tensors under each of generator, discriminator, want one dict of tensors, or one of",
        ),
    ],
)
def test_not_found(loaded: Any, want: str) -> None:
    with pytest.raises(ValueError, match=want):
        unwrap(loaded)
