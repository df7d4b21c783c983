"""Reading inside models by module path: any model, no trace left."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekd.learn.method import taps
from edgekd.learn.method.taps import Taps


class Pair(nn.Module):
    """Gives a tuple, as recurrent and transformer layers do."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        return x * 2, None


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)
    )


def test_outputs_and_inputs_are_read_and_gradients_flow() -> None:
    net, images = model(), torch.randn(2, 1, 4, 4)
    with Taps(net, ["2", "2:input", "4:input"]) as read:
        net(images)
    assert read["2"].shape == (2, 3, 2, 2)
    assert torch.equal(read["2"], read["2:input"].relu())
    assert torch.equal(read["4:input"], read["2"].flatten(1))
    read["2"].sum().backward()
    assert net[0].weight.grad is not None


def test_nothing_is_read_after_and_nothing_left_behind() -> None:
    net = model()
    reader = Taps(net, ["2"])
    with reader as read:
        net(torch.randn(2, 1, 4, 4))
    before = read["2"]
    net(torch.randn(2, 1, 4, 4))
    assert read["2"] is before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_hooks_go_when_the_model_fails() -> None:
    net = model()
    with pytest.raises(RuntimeError), Taps(net, ["2"]):
        net(torch.randn(2, 7, 4, 4))
    assert not any(module._forward_hooks for module in net.modules())


def test_half_precision_is_widened_and_tuples_are_opened() -> None:
    net = nn.Sequential(nn.Identity(), Pair())
    with Taps(net, ["0", "1"]) as read:
        net(torch.ones(2, 3, dtype=torch.bfloat16))
    assert read["0"].dtype == torch.float32
    assert torch.equal(read["1"], torch.full((2, 3), 2.0))


def test_an_unknown_layer_is_named_with_its_neighbour() -> None:
    with pytest.raises(ValueError, match="got no layer 'layer'"):
        Taps(nn.Sequential(), ["layer"])
    net = nn.Sequential()
    net.add_module("layer1", nn.Identity())
    with pytest.raises(ValueError, match="did you mean 'layer1'"):
        Taps(net, ["layer2"])


def test_looking_changes_neither_mode_nor_statistics() -> None:
    net = model().train()
    net[3].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = taps.find_points(net, torch.randn(4, 1, 4, 4))
    assert [point.place for point in found] == ["0", "1", "2", "3", "4"]
    assert taps.record_shapes(net, ["1"], torch.randn(4, 1, 4, 4)) == {"1": (4, 3, 2, 2)}
    assert [module.training for module in net] == [True, True, True, False, True]
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_a_layer_that_is_never_run_is_refused() -> None:
    net = model()
    net.spare = nn.Linear(2, 2)
    net.forward = lambda x: net[0](x)  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="'spare', through which no tensor passes"):
        taps.record_shapes(net, ["spare"], torch.randn(2, 1, 4, 4))


def test_what_a_later_layer_changes_in_place_is_read_as_it_was() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True), nn.Flatten()
    )
    images = torch.randn(4, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    with Taps(model, ["1", "2:input"]) as values:
        model(images)
    want = model[1](model[0](images))
    assert want.min().item() < 0
    assert torch.allclose(values["1"], want) and torch.equal(values["1"], values["2:input"])
