"""The receptive tokens: masks, weights, and from what alone they learn."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.companions.receptive import dice_similarity
from edgekd.learn.companions.receptive import receptive
from edgekd.learn.losses.attention.masks import maskd

OURS, THEIRS = (2, 3, 4, 4), (2, 5, 4, 4)
LABELS = torch.tensor([1, 3])


def made(**knobs: float) -> nn.Module:
    torch.manual_seed(3)
    return receptive(OURS, THEIRS, (2,), classes=4, **{"tokens": 3, **knobs})


def maps() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(s, generator=generator, requires_grad=True) for s in (OURS, THEIRS))


def test_masks_weights_and_their_loss_place_by_place() -> None:
    module, (student, teacher) = made(diversity=0.5), maps()
    with torch.no_grad():
        module.tokens.normal_()
    given = module(student, teacher, LABELS)
    together, total = torch.zeros(2, 4, 4), 0.0
    for b in range(2):
        seen = F.conv2d(teacher[b : b + 1], module.look.weight, module.look.bias, padding=1)
        weights = (module.weigh.weight @ seen.mean((0, 2, 3)) + module.weigh.bias).softmax(0)
        assert torch.allclose(given["mask_weights"][b], weights, atol=1e-6)
        for t in range(3):
            mask = (module.tokens[t][:, None, None] * teacher[b]).sum(0).sigmoid()
            assert torch.allclose(given["masks"][b, t], mask, atol=1e-6)
            together[b] += (weights[t] * mask).detach()
        mean = (teacher[b] * together[b]).mean((1, 2))
        logits = module.read.weight @ mean + module.read.bias
        total -= logits.log_softmax(0)[LABELS[b]].item() / 2
    total += 0.5 * dice_similarity(given["masks"]).item()
    assert given["token_loss"].item() == pytest.approx(total, rel=1e-5)


def test_dice_by_hand() -> None:
    masks = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]).reshape(1, 3, 1, 2)
    # 2 / 3 between the first two, 0 with the third, each twice of 6.
    assert dice_similarity(masks).item() == pytest.approx(2 * (2 / 3) / 6)
    assert dice_similarity(masks[:, :1].expand(1, 4, 1, 2)).item() == pytest.approx(1)
    assert dice_similarity(masks[:, :1]).item() == 0


def test_the_student_cannot_move_the_masks_nor_the_tokens_the_student() -> None:
    module, (student, teacher) = made(), maps()
    given = module(student, teacher, LABELS)
    assert not given["masks"].requires_grad and not given["mask_weights"].requires_grad
    given["token_loss"].backward(retain_graph=True)
    assert student.grad is None and teacher.grad is None and module.align.weight.grad is None
    learnt = {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
    assert {"tokens", "weigh.weight", "look.weight", "read.weight"} <= set(learnt)
    module.zero_grad()
    maskd(**given).backward()
    assert student.grad is not None and teacher.grad is None
    assert module.align.weight.grad is not None
    for name, p in module.named_parameters():
        if name in learnt:
            assert torch.allclose(p.grad, learnt[name])


@pytest.mark.trains
def test_tokens_learn_to_read_the_classes_and_to_differ() -> None:
    module, (student, teacher) = made(), maps()
    optimizer = torch.optim.Adam(module.parameters(), 0.05)
    for _ in range(60):
        optimizer.zero_grad()
        given = module(student, teacher, LABELS)
        given["token_loss"].backward()
        optimizer.step()
    first = made()(student, teacher, LABELS)
    assert given["token_loss"].item() < 0.6 * first["token_loss"].item()
    assert dice_similarity(given["masks"]).item() < 0.8 * dice_similarity(first["masks"]).item()


def test_mixed_labels_and_zeros_in_evaluation() -> None:
    module, (student, teacher) = made(), maps()
    mixed = module(student, teacher, F.one_hot(LABELS, 4).float())["token_loss"]
    assert mixed.item() == pytest.approx(module(student, teacher, LABELS)["token_loss"].item())
    module.eval()
    was = {k: v.clone() for k, v in module.state_dict().items()}
    assert bool(maskd(**module(student * 0, teacher * 0, LABELS * 0)).isfinite())
    assert all(torch.equal(was[k], v) for k, v in module.state_dict().items())
    with pytest.raises(ValueError, match=r"want \[B, C, H, W\]"):
        receptive((2, 3), (2, 3), (2,), classes=4)
