"""Each feature loss with what it trains beside the student, over the kinds of layers that may be paired."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.losses.feature import LOSSES
from edgekd.named_member import bind
from edgekd.table import find_signature

NAMES = sorted(set(LOSSES) - {"simkd"})
"""SimKD's projector is the student's: tests/learn/edits/test_reuse.py."""
Shape = tuple[int, ...]
PAIRS: list[tuple[Shape, Shape]] = [
    ((4, 6, 8, 8), (4, 6, 8, 8)),
    ((4, 3, 8, 8), (4, 6, 4, 4)),
    ((4, 6, 4, 4), (4, 3, 8, 8)),
    ((4, 3, 8, 8), (4, 17, 6)),
    ((4, 17, 3), (4, 6, 8, 8)),
    ((4, 17, 3), (4, 17, 6)),
    ((4, 17, 3), (4, 65, 6)),
    ((4, 16, 3), (4, 5, 6)),
]


def built(name: str, one: Shape, other: Shape) -> tuple[nn.Module, list[Any], dict[str, Any]]:
    """The companion, the shapes that it wants tensors of, and the loss's own knobs."""
    member = LOSSES[name]
    knobs = bind(member, {})
    assert member.companion is not None
    beside = find_signature(member.companion)
    mine = {key: value for key, value in knobs.items() if key in beside.knobs.model_fields}
    rest = {key: value for key, value in knobs.items() if key not in mine}
    shapes: list[Any] = []
    for signal in beside.positional:
        shape = one if signal.startswith("student") else other
        if signal.endswith("_embedding"):
            shape = (4, shape[1] if len(shape) == 4 else shape[2])
        shapes.append((shape, shape, shape) if signal.endswith("_stages") else shape)
    return member.companion.load()(*shapes, **mine), shapes, rest


def filled(shape: Any, seed: int | None) -> Any:
    if isinstance(shape[0], tuple):
        return tuple(filled(each, seed) for each in shape)
    if seed is None:
        return torch.zeros(shape)
    generator = torch.Generator().manual_seed(seed + len(shape))
    return torch.randn(shape, generator=generator).requires_grad_()


def value_of(name: str, module: nn.Module, given: list[Any], knobs: dict[str, Any]) -> Tensor:
    member = LOSSES[name]
    assert member.companion is not None
    signals = dict(zip(find_signature(member.companion).positional, given, strict=True))
    signals |= module(*given)
    return member.load()(*(signals.get(key) for key in find_signature(member).positional), **knobs)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_a_loss_and_its_companion_fit(name: str, pair: tuple[Shape, Shape]) -> None:
    torch.manual_seed(0)
    module, shapes, knobs = built(name, *pair)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    module.eval()
    assert bool(value_of(name, module, [filled(s, None) for s in shapes], knobs).isfinite())
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    module.train()
    student, teacher = filled(shapes[0], 1), filled(shapes[1], 2)
    value = value_of(name, module, [student, teacher], knobs)
    value.backward()
    assert value.shape == () and value.dtype == torch.float32 and bool(value.isfinite())
    for leaf in student if isinstance(student, tuple) else (student,):
        assert leaf.grad is not None and bool(leaf.grad.isfinite().all())
    for leaf in teacher if isinstance(teacher, tuple) else (teacher,):
        assert leaf.grad is None
    for key, parameter in module.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()), key


@pytest.mark.parametrize("name", NAMES)
def test_what_was_learnt_is_all_in_the_state(name: str) -> None:
    torch.manual_seed(0)
    module, shapes, knobs = built(name, *PAIRS[1])
    again, *_ = built(name, *PAIRS[1])
    given = [filled(shape, seed) for seed, shape in enumerate(shapes)]
    value_of(name, module, given, knobs)
    again.load_state_dict(module.state_dict())
    one, other = (value_of(name, each, given, knobs) for each in (module, again))
    assert torch.equal(one, other)
