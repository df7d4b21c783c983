"""A traced model answers as the model did, keeps its names, and shares nothing with it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.quant import operators
from edgekd.learn.quant import tracing
from tests import quant_example as example


@pytest.mark.parametrize("kind", [example.Block, example.Swish, example.Tokens])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_same_answers_for_any_batch(kind: type[nn.Module], count: int) -> None:
    model = example.made(kind)
    traced = tracing.trace(model, example.INTERFACE)
    with torch.no_grad():
        torch.testing.assert_close(traced(example.images(count)), model(example.images(count)))


def test_parameters_keep_their_names_and_counters_go() -> None:
    model = example.made()
    found = dict(tracing.trace(model, example.INTERFACE).state_dict())
    assert set(found) == {name for name in model.state_dict() if "num_batches" not in name}


def test_it_can_be_trained_without_moving_the_model() -> None:
    model = example.made()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    traced = tracing.trace(model, example.INTERFACE).train()
    traced(example.images(4)).square().mean().backward()
    torch.optim.SGD(traced.parameters(), lr=1.0).step()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not torch.equal(dict(traced.named_parameters())["fc.weight"], before["fc.weight"])


def test_nodes_know_their_module() -> None:
    traced = tracing.trace(example.made(), example.INTERFACE)
    paths = [tracing.path_of(n) for n in traced.graph.nodes if n.target in operators.CONVOLUTIONS]
    assert paths == ["conv1", "conv2"]
    assert [tracing.rank_of(n) for n in traced.graph.nodes if n.op == "placeholder"] == [4]


def test_what_cannot_be_exported_is_refused_in_one_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    class Branches(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ValueError, match="cannot be traced") as error:
        tracing.trace(Branches(), example.INTERFACE)
    assert "\n" not in str(error.value)
    assert "".join(capfd.readouterr()) == ""


def test_a_parameter_is_put_where_no_module_is_yet() -> None:
    module = tracing.trace(example.made(), example.INTERFACE)
    tracing.set_parameter(module, "new.place.weight", torch.ones(3))
    assert torch.equal(module.get_parameter("new.place.weight"), torch.ones(3))
    assert tracing.free_name(module, "new.place", "weight") == "new.place.weight_2"
    assert tracing.free_name(module, "new", "weight") == "new.weight"
