"""Rows of numbers to rows of numbers, of several inputs and outputs; deployable."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgekd.errors import InputError
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.blueprint import build
from edgekd.learn.complexity import count_macs
from edgekd.learn.complexity import count_parameters
from tests.learn.deploy_example import require_deploys

ROWS = Interface(
    (Tensor("rows", "float32", ("batch", 7)),),
    (Tensor("values", "float32", ("batch", 2), target="numbers"),),
    sizes={"columns": 7, "numbers": 2},
)
SEVERAL = Interface(
    (Tensor("images", "float32", ("batch", 1, 4, 4)), Tensor("rows", "float32", ("batch", 3))),
    (
        Tensor("logits", "float32", ("batch", 5), "logits", class_axis=1, target="labels"),
        Tensor("map", "float32", ("batch", 2, 3), target="numbers"),
    ),
)


def test_parameters_and_products_by_hand() -> None:
    plan = Blueprint(builder="mlp", arguments={"width": 10, "depth": 2}, interface=ROWS)
    model = build(plan)
    products = 7 * 10 + 10 * 10 + 10 * 2
    assert count_parameters(model) == products + 10 + 10 + 2
    assert count_macs(model, plan) == products


def test_several_inputs_and_outputs() -> None:
    model = build(Blueprint(builder="mlp", interface=SEVERAL))
    logits, numbers = model(torch.zeros(3, 1, 4, 4), torch.zeros(3, 3))
    assert logits.shape == (3, 5) and numbers.shape == (3, 2, 3)
    (logits.sum() + numbers.sum()).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    "end",
    [
        Tensor("ids", "int64", ("batch", 7), "index", below=9),
        Tensor("rows", "float32", ("batch",)),
    ],
)
def test_what_is_no_row_of_numbers_is_refused_in_one_line(end: Tensor) -> None:
    with pytest.raises(InputError, match=f"mlp: got {end.name}") as caught:
        build(Blueprint(builder="mlp", interface=ROWS._replace(inputs=(end,))))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("interface", [ROWS, SEVERAL])
def test_it_is_deployed_in_int8(interface: Interface, tmp_path: Path) -> None:
    plan = Blueprint(builder="mlp", interface=interface)
    random = torch.Generator().manual_seed(0)

    def drawn(count: int) -> tuple[torch.Tensor, ...]:
        return tuple(
            torch.randn(interface.shape(end, count), generator=random) for end in interface.inputs
        )

    require_deploys(plan, [drawn(16), drawn(16)], [drawn(8), drawn(1)], tmp_path)
