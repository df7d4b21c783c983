"""Attacks stay within epsilon and within pixels, find what can be found, and leave no trace."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.fields.image import Image
from edgekd.learn import attack
from edgekd.learn.attack import PixelRange
from edgekd.learn.attack import pgd
from edgekd.learn.attack import robust_accuracy

TWO = Image(height=4, width=4, channels=2, mean=(0.2, 0.7), std=(0.5, 0.1))
PIXELS = PixelRange.of(TWO)


def net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
    )


def pictures(count: int = 5) -> np.ndarray:
    """Every grey level from black to white comes."""
    return np.random.default_rng(0).integers(0, 256, (count, 4, 4, 2), dtype=np.uint8)


def images(count: int = 5) -> Tensor:
    return torch.from_numpy(TWO.apply(pictures(count)))


def to_labels(logits: Tensor) -> Tensor:
    return F.cross_entropy(logits, torch.arange(len(logits)) % 3)


def in_pixels(normalised: Tensor) -> Tensor:
    """Black 0, white 1."""
    mean, std = (torch.tensor(one)[:, None, None] for one in (TWO.mean, TWO.std))
    return normalised * std + mean


def test_the_range_is_what_black_and_white_become() -> None:
    ends = torch.from_numpy(
        TWO.apply(np.array([[0] * 32, [255] * 32], np.uint8).reshape(2, 4, 4, 2))
    )
    assert torch.equal(PIXELS.lowest.expand(2, 4, 4), ends[0])
    assert torch.allclose(PIXELS.highest.expand(2, 4, 4), ends[1])
    assert PIXELS.unit.flatten().tolist() == pytest.approx([2.0, 10.0], rel=1e-5)  # 1 / std


@pytest.mark.parametrize("random_start", [False, True])
def test_it_stays_within_epsilon_and_within_pixels(random_start: bool) -> None:
    x = images(40)
    moved = pgd(
        net(), x, to_labels, PIXELS, epsilon=0.1, step=0.04, steps=6, random_start=random_start
    )
    change = (in_pixels(moved) - in_pixels(x)).abs()
    assert float(change.max()) <= 0.1 + 1e-6
    # In pixels both channels go as far, though one is spread five times as wide.
    assert change.amax((0, 2, 3)).tolist() == pytest.approx([0.1, 0.1], abs=1e-5)
    assert bool(((moved >= PIXELS.lowest) & (moved <= PIXELS.highest)).all())
    assert not moved.requires_grad


def test_a_pixel_out_of_range_may_stay_but_not_go_on() -> None:
    x = images(2)
    x[0, 0, 0, 0] = PIXELS.highest[0].item() + 1.0
    up = pgd(nn.Flatten(), x, torch.sum, PIXELS, epsilon=0.1, step=0.1, steps=1, random_start=False)
    assert torch.equal(up[0, 0, 0, 0], x[0, 0, 0, 0])
    down = partial(pgd, epsilon=0.1, step=0.1, steps=1, random_start=False)
    x[0, 0, 0, 1] = PIXELS.lowest[0].item() - 1.0
    lower = down(nn.Flatten(), x, lambda z: -z.sum(), PIXELS)
    assert torch.equal(lower[0, 0, 0, 1], x[0, 0, 0, 1])
    assert float(x[0, 0, 0, 0] - lower[0, 0, 0, 0]) == pytest.approx(0.2)  # 0.1 of white


def test_it_starts_anywhere_within_epsilon() -> None:
    x = torch.zeros(50, 2, 4, 4)

    def nowhere(logits: Tensor) -> Tensor:
        return 0 * logits.sum()

    start = pgd(nn.Flatten(), x, nowhere, PIXELS, epsilon=0.1, step=0.1, steps=1)
    change = in_pixels(start) - in_pixels(x)
    assert float(change.min()) == pytest.approx(-0.1, abs=0.002)
    assert float(change.max()) == pytest.approx(0.1, abs=0.002)
    assert abs(float(change.mean())) < 0.01


def test_the_model_is_never_asked_of_what_no_pixel_can_be() -> None:
    """Its random start included: images of nothing but black and white leave it half the room."""
    asked: list[Tensor] = []

    class Asked(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            asked.append(images.detach().clone())
            return images.flatten(1)

    ends = np.random.default_rng(0).integers(0, 2, (20, 4, 4, 2), dtype=np.uint8) * 255
    x = torch.from_numpy(TWO.apply(ends))
    pgd(Asked(), x, torch.sum, PIXELS, epsilon=0.1, step=0.03, steps=3)
    assert len(asked) == 3 and not torch.equal(asked[0], x)
    for images in asked:
        assert bool(((images >= PIXELS.lowest) & (images <= PIXELS.highest)).all())
        assert float((in_pixels(images) - in_pixels(x)).abs().max()) <= 0.1 + 1e-6
    still = (asked[0] == x).float().mean()
    assert 0.4 < float(still) < 0.6  # those whose draw led out of what a pixel can be


def test_one_step_by_hand() -> None:
    """On a linear model the gradient is its weight, at whatever place."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(32, 1, bias=False))
    weight = model[1].weight.reshape(2, 4, 4)
    x = torch.zeros(3, 2, 4, 4)  # the mean: away from both ends
    how = {"epsilon": 0.05, "step": 0.05, "steps": 1, "random_start": False}
    moved = pgd(model, x, torch.sum, PIXELS, **how)
    want = 0.05 * weight.sign() / torch.tensor(TWO.std)[:, None, None]
    assert torch.allclose(moved, want.expand_as(x), atol=1e-6)


def test_pgd_ends_at_the_best_corner_of_a_linear_model() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(32, 1, bias=False))
    x = images(6)
    best = torch.where(
        model[1].weight.reshape(2, 4, 4) > 0, in_pixels(x) + 0.08, in_pixels(x) - 0.08
    ).clamp(0, 1)
    moved = pgd(model, x, torch.sum, PIXELS, epsilon=0.08, step=0.03, steps=6)
    assert torch.allclose(in_pixels(moved), best, atol=1e-5)


def test_more_steps_find_more_and_any_step_more_than_chance() -> None:
    model, x = net().eval(), images(60)
    ascend = partial(pgd, model, x, to_labels, PIXELS, epsilon=0.1, random_start=False)
    loss = [to_labels(model(moved)).item() for moved in (x, ascend(step=0.1, steps=1))]
    loss.append(to_labels(model(ascend(step=0.02, steps=20))).item())
    assert loss[0] + 0.1 < loss[1] < loss[2] + 1e-3


def test_the_same_generator_the_same_place_and_no_epsilon_no_change() -> None:
    x, model = images(), net()
    starts = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        starts.append(pgd(model, x, to_labels, PIXELS, epsilon=0.1, step=0.01, steps=1))
    assert torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])
    still = pgd(model, x, to_labels, PIXELS, epsilon=0.0, step=0.1, steps=2)
    assert torch.equal(still, x)


def test_modes_buffers_gradients_and_images_stay() -> None:
    model, x = nn.Sequential(net(), nn.Identity()).train(), images()
    model[0].eval()  # a part that stays frozen, but for one of its own
    model[0][1].train()
    model[0][0].weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    kept, modes = x.clone(), [module.training for module in model.modules()]
    with torch.no_grad():  # a rehearsal
        pgd(model, x, to_labels, PIXELS, epsilon=0.1, step=0.1, steps=2)
        assert not torch.is_grad_enabled()
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model[0][0].weight.requires_grad and model[0][0].bias.requires_grad
    assert torch.equal(x, kept) and not x.requires_grad

    class Broken(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            raise RuntimeError("broken")

    broken = Broken().train()
    with pytest.raises(RuntimeError, match="broken"):
        pgd(broken, x, to_labels, PIXELS, epsilon=0.1, step=0.1, steps=1)
    assert broken.training


def test_samples_of_a_batch_do_not_change_one_another() -> None:
    """Even in training mode, with batch norm."""
    model, x = net().train(), images(4)
    ascend = partial(pgd, epsilon=0.1, step=0.04, steps=4, random_start=False)

    def toward(label: int, logits: Tensor) -> Tensor:
        return F.cross_entropy(logits, torch.full((len(logits),), label), reduction="sum")

    together = ascend(model, x, partial(toward, 1), PIXELS)
    alone = [ascend(model, one[None], partial(toward, 1), PIXELS) for one in x]
    assert torch.allclose(together, torch.cat(alone), atol=1e-6)


@pytest.mark.parametrize("wrong", [{"epsilon": -0.1}, {"step": 0.0}, {"steps": 0}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="want epsilon >= 0, step > 0, steps >= 1"):
        pgd(
            net(),
            images(),
            to_labels,
            PIXELS,
            **({"epsilon": 0.1, "step": 0.1, "steps": 1} | wrong),
        )


def test_robust_accuracy_by_hand() -> None:
    """One pixel says the class; it is lost where epsilon takes it over the middle."""
    plain = Image(height=1, width=1, channels=1, mean=(0.5,), std=(0.25,))

    class Middle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slope = nn.Parameter(torch.tensor(4.0))

        def forward(self, images: Tensor) -> Tensor:
            z = images.flatten(1) * self.slope
            return torch.cat([-z, z], 1)

    levels = np.array([0, 90, 115, 125, 130, 150, 200, 255], np.uint8)
    labels = (levels > 127.5).astype(np.int64)
    right = partial(
        robust_accuracy, Middle(), levels.reshape(-1, 1, 1, 1), labels, plain, step=0.02
    )
    distance = np.abs(levels / 255 - 0.5)
    for epsilon in (0.001, 0.03, 0.06, 0.12, 0.4):
        assert right(epsilon=epsilon, steps=60) == np.mean(distance > epsilon)
    wrong = robust_accuracy(
        Middle(), levels.reshape(-1, 1, 1, 1), 1 - labels, plain, epsilon=0.01, step=0.01
    )
    assert wrong == 0


def test_robust_accuracy_leaves_the_generator_and_repeats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = net().train()
    labels = np.arange(40, dtype=np.int64) % 3
    measure = partial(robust_accuracy, model, pictures(40), labels, TWO, epsilon=0.02, step=0.005)
    torch.manual_seed(9)
    before = torch.get_rng_state()
    first = measure(steps=3)
    assert torch.equal(torch.get_rng_state(), before) and model.training
    assert measure(steps=3) == first
    starts: list[Tensor] = []

    def keep(*arguments: Any, **knobs: Any) -> Tensor:
        starts.append(pgd(*arguments, **knobs))
        return starts[-1]

    monkeypatch.setattr(attack, "pgd", keep)
    for seed in (1, 1, 2):
        measure(steps=1, seed=seed)
        torch.rand(3)
    assert torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])
    with pytest.raises(ValueError, match="at least one image"):
        robust_accuracy(model, pictures(0), labels[:0], TWO, epsilon=0.1, step=0.1)
