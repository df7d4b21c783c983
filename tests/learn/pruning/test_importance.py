"""The worth of a channel: against finite differences, and by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import image_classifier
from edgekd.learn.pruning import importance
from edgekd.learn.pruning.trial import sound_groups


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 3)
    )


ENDS = image_classifier(classes=3, channels=1, height=8, width=8)


def batches(count: int) -> list[tuple[tuple[torch.Tensor], dict[str, torch.Tensor]]]:
    torch.manual_seed(1)
    labels = {"labels": torch.tensor([0, 1, 2, 1])}
    return [((torch.randn(4, 1, 8, 8),), labels) for _ in range(count)]


def test_taylor_is_the_derivative_of_a_gate() -> None:
    model = net()
    groups, _ = sound_groups(model, torch.zeros(2, 1, 8, 8))
    got = importance.by_taylor(model, groups, ENDS, batches(2))["0"]
    exact = net().double().eval()
    want = torch.zeros(6, dtype=torch.float64)
    step = 1e-4
    for (images,), targets in batches(2):
        for channel in range(6):
            losses = []
            for gate in (1 - step, 1 + step):
                mask = torch.ones(1, 6, 1, 1, dtype=torch.float64)
                mask[:, channel] = gate
                with torch.no_grad():
                    features = exact[2](exact[1](exact[0](images.double()))) * mask
                    logits = exact[4](features.flatten(1))
                losses.append(float(nn.functional.cross_entropy(logits, targets["labels"])))
            want[channel] += ((losses[1] - losses[0]) / (2 * step)) ** 2 / 2
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-9)
    assert model[0].weight.grad is None


def test_magnitude_by_hand() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 2.0], [0.0, 1.0]]))
        model[2].weight.copy_(torch.tensor([[3.0, 1.0]]))
    groups, _ = sound_groups(model, torch.zeros(2, 2))
    got = importance.by_magnitude(model, groups)["0"]
    # 1 + 4 + 9 = 14 and 0 + 1 + 1 = 2; their mean is 8.
    torch.testing.assert_close(got, torch.tensor([14 / 8, 2 / 8], dtype=torch.float64))


def test_what_is_no_number_is_refused() -> None:
    model = net()
    groups, _ = sound_groups(model, torch.zeros(2, 1, 8, 8))
    bad = [((torch.full((2, 1, 8, 8), float("nan")),), {"labels": torch.tensor([0, 1])})]
    for data in (bad, []):
        with pytest.raises(InputError, match="finite"):
            importance.by_taylor(model, groups, ENDS, data)


def test_without_a_target_the_other_importance_is_named() -> None:
    groups, _ = sound_groups(net(), torch.zeros(2, 1, 8, 8))
    unlabelled = [((torch.randn(2, 1, 8, 8),), dict[str, torch.Tensor]())]
    with pytest.raises(InputError, match="got no output with a target") as caught:
        importance.by_taylor(net(), groups, ENDS, unlabelled)
    assert caught.value.hint == "importance: magnitude"
