"""The masking companion: what is hidden, what is generated from the rest."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.companions.masking import masked_generator

OURS, THEIRS = (2, 3, 8, 8), (2, 5, 4, 4)


def made(**knobs: float) -> nn.Module:
    torch.manual_seed(3)
    return masked_generator(OURS, THEIRS, **knobs)


def maps() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(s, generator=generator, requires_grad=True) for s in (OURS, THEIRS))


def test_generated_place_by_place_from_what_the_mask_keeps() -> None:
    module, (student, teacher) = made(), maps()
    mask = (torch.arange(2 * 16).reshape(2, 1, 4, 4) % 3 == 0).float()
    given = module(student, teacher, mask)
    pooled = student.unflatten(2, (4, 2)).unflatten(4, (4, 2)).mean((3, 5))
    aligned = module.align.weight.flatten(1) @ pooled.flatten(2) + module.align.bias[:, None]
    kept = aligned.unflatten(2, (4, 4)) * mask
    first, _, last = module.generate
    want = torch.nn.functional.conv2d(kept, first.weight, first.bias, padding=1).relu()
    want = torch.nn.functional.conv2d(want, last.weight, last.bias, padding=1)
    assert torch.allclose(given["student_features"], want, atol=1e-5)
    assert torch.equal(given["teacher_features"], teacher)


def test_what_is_hidden_does_not_matter() -> None:
    module, (student, teacher) = made(), maps()
    mask = torch.ones(2, 1, 4, 4)
    mask[:, :, :2] = 0
    other = student.detach().clone()
    other[:, :, :4] = 9.0
    values = [module(s, teacher, mask)["student_features"] for s in (student, other)]
    assert torch.equal(*values)
    other[:, :, 4:] = 9.0
    assert not torch.equal(values[0], module(other, teacher, mask)["student_features"])


@pytest.mark.parametrize("by_channel", [False, True])
def test_the_share_that_is_hidden(by_channel: bool) -> None:
    module = made(masked_share=0.65, by_channel=by_channel)
    mask = module._drawn(torch.zeros(40, 50, 30, 30))
    assert mask.shape == ((40, 50, 1, 1) if by_channel else (40, 1, 30, 30))
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert mask.mean().item() == pytest.approx(0.35, abs=0.04)
    torch.manual_seed(8)
    one = module._drawn(torch.zeros(OURS))
    torch.manual_seed(8)
    assert torch.equal(one, module._drawn(torch.zeros(OURS)))


@pytest.mark.parametrize(("share", "same"), [(0.0, True), (0.5, False)])
def test_training_hides_and_evaluation_does_not(share: float, same: bool) -> None:
    module, (student, teacher) = made(masked_share=share), maps()
    trained = module(student, teacher)["student_features"]
    state = torch.get_rng_state()
    still = module.eval()(student, teacher)["student_features"]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.allclose(trained, still) == same
    assert torch.equal(still, module(student, teacher)["student_features"])
    assert bool(module(*(m * 0 for m in (student, teacher)))["student_features"].isfinite().all())


def test_all_hidden_leaves_only_what_the_generator_adds() -> None:
    module, (student, teacher) = made(masked_share=1.0), maps()
    given = module(student, teacher)["student_features"]
    assert torch.allclose(given[0], given[1])


def test_gradients_reach_the_student_and_not_the_teacher() -> None:
    module, (student, teacher) = made(), maps()
    given = module(student, teacher)
    (given["student_features"] - given["teacher_features"]).square().sum().backward()
    assert student.grad is not None and teacher.grad is None
    assert all(p.grad is not None for p in module.parameters())


def test_equal_widths_need_no_convolution_and_vectors_are_refused() -> None:
    assert isinstance(masked_generator(THEIRS, THEIRS).align, nn.Identity)
    for shape in ((2, 3), (2, 4, 3)):
        with pytest.raises(ValueError, match=r"want \[B, C, H, W\]"):
            masked_generator(shape, shape)
