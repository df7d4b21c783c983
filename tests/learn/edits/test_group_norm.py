"""Group norms in place of batch norms: the same weights, and no sample hears another."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from edgekd.interface import image_classifier
from edgekd.learn.edits import group_norm
from edgekd.learn.models.mobilenetv2 import mobilenetv2
from edgekd.learn.models.resnet import resnet

IMAGES = torch.zeros(2, 3, 16, 16)
ENDS = image_classifier(classes=4, channels=3, height=16, width=16)
SHAPE = {"classes": 4, "channels": 3, "height": 16, "width": 16}


def nets() -> list[nn.Module]:
    torch.manual_seed(0)
    return [resnet(**SHAPE, depth=8, base=12), mobilenetv2(**SHAPE)]


def test_every_batch_norm_becomes_a_group_norm_with_its_weights() -> None:
    for model in nets():
        norms = {n: m for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
        for norm in norms.values():
            nn.init.uniform_(norm.weight)
            nn.init.uniform_(norm.bias)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        changed = group_norm.apply(model, {"groups": 8}, ENDS)
        assert norms and changed is model
        for name, norm in norms.items():
            fresh = model.get_submodule(name)
            assert isinstance(fresh, nn.GroupNorm) and fresh.eps == norm.eps
            assert norm.num_features % fresh.num_groups == 0
        after = model.state_dict()
        assert all(torch.equal(before[name], tensor) for name, tensor in after.items())
        assert not any("running" in name for name in after)


def test_groups_divide_the_channels() -> None:
    model = nn.Sequential(nn.BatchNorm2d(12), nn.BatchNorm2d(7, affine=False), nn.BatchNorm2d(16))
    group_norm.apply(model, {}, ENDS)
    assert [norm.num_groups for norm in model] == [4, 1, 8]
    assert not model[1].affine


def test_samples_no_longer_mix() -> None:
    x = torch.randn(5, 3, 16, 16)
    for model in nets():
        assert not torch.allclose(model.train()(x)[:2], model(x[:2]), atol=1e-3)
        group_norm.apply(model, {}, ENDS)
        assert torch.allclose(model.train()(x)[:2], model(x[:2]), atol=1e-4)


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(ValueError, match="got a batch norm alone"):
        group_norm.apply(nn.BatchNorm2d(4), {}, ENDS)
    with pytest.raises(ValidationError):
        group_norm.apply(nets()[0], {"groups": 0}, ENDS)
    with pytest.raises(ValidationError):
        group_norm.apply(nets()[0], {"group": 4}, ENDS)
