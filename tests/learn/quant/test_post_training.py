"""Post-training quantization answers like the float model, and takes the best of what it tries."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from edgekd.learn.quant import distance
from edgekd.learn.quant import equalization
from edgekd.learn.quant import insertion
from edgekd.learn.quant import post_training
from edgekd.learn.quant import rewriting
from edgekd.profile import NUMERICS
from tests import quant_example as example


@pytest.mark.parametrize("numerics", list(NUMERICS))
@pytest.mark.parametrize("kind", [example.Block, example.Swish, example.Tokens])
def test_answers_are_those_of_the_float_model(kind: type[nn.Module], numerics: str) -> None:
    started = example.quantized(kind, numerics)
    want = [example.made(kind)(x).detach() for x in example.batches()]
    spread = torch.cat(want).std(0).mean()
    with torch.no_grad():
        got = torch.cat([started.model(x) for x in example.batches()])
    assert (got - torch.cat(want)).abs().mean() < 0.1 * spread
    best = started.tried["bias correction" if started.corrected else started.method]
    assert best == min(started.tried.values())
    few = torch.cat(list(example.batches()))[: post_training.JUDGED]
    judged = torch.cat(want)[: post_training.JUDGED]
    nats = distance.mean_distance(
        started.model, [(judged,)], lambda: [(few,)], example.INTERFACE.outputs
    )
    assert nats == pytest.approx(best, rel=0.05)
    assert started.costs == []


def test_calibration_images_are_read_once_and_a_few_more_are_judged() -> None:
    """Without a question for costs: once for ranges, and what few images are judged, corrected and compared."""
    images = [example.images(64, seed=number) for number in range(12)]

    read = 0

    def batches() -> Iterator[tuple[torch.Tensor]]:
        nonlocal read
        for one in images:
            read += len(one)
            yield (one,)

    post_training.quantize(example.made(), example.INTERFACE, NUMERICS["asymmetric"], batches)
    assert read <= sum(map(len, images)) + 2 * len(images[0])


def test_costs_are_found_out_where_they_are_asked_for() -> None:
    started = post_training.quantize(
        example.made(),
        example.INTERFACE,
        NUMERICS["asymmetric"],
        example.BATCHES,
        with_costs=True,
    )
    assert {row.layer for row in started.costs} == set(
        insertion.find_weight_quantizers(started.model)
    )


@pytest.mark.parametrize("learn", [True, False])
def test_steps_stand_still_where_they_are_not_to_be_learned(learn: bool) -> None:
    numerics = NUMERICS["asymmetric"]
    images = example.images(2)
    model = post_training.quantize(
        example.made(),
        example.INTERFACE,
        numerics,
        example.BATCHES,
        method="mse",
        learn_steps=learn,
    ).model
    model.train()(images).square().mean().backward()
    steps = {name: p for name, p in model.named_parameters() if name.endswith("log_step")}
    assert len(steps) > 3
    assert all((parameter.grad is not None) == learn for parameter in steps.values())
    others = [p for name, p in model.named_parameters() if name not in steps]
    assert all(parameter.grad is not None for parameter in others)


def test_the_float_model_is_left_as_it_was() -> None:
    model = example.made()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    post_training.quantize(
        model, example.INTERFACE, NUMERICS["symmetric"], example.BATCHES, every_weight_bits=4
    )
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_bits_of_single_layers_count_over_those_of_all() -> None:
    started = post_training.quantize(
        example.made(),
        example.INTERFACE,
        NUMERICS["asymmetric"],
        example.BATCHES,
        every_weight_bits=4,
        weight_bits={"fc": 8},
        float_layers=("conv1",),
    )
    found = {
        name: one.bits for name, one in insertion.find_weight_quantizers(started.model).items()
    }
    assert found == {"conv2": 4, "fc": 8}


def test_calibration_holds_a_few_batches_however_many_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post_training, "CORRECTED", 8)
    monkeypatch.setattr(post_training, "JUDGED", 8)
    living: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
    most = 0

    def batches() -> Iterator[tuple[torch.Tensor]]:
        nonlocal most
        for number in range(12):
            images = example.images(8, seed=number)
            living.add(images)
            most = max(most, len(living))
            yield (images,)

    post_training.quantize(example.made(), example.INTERFACE, NUMERICS["asymmetric"], batches)
    assert most <= 4


class Picks(nn.Module):
    """An operator that gives two tensors, of which a layer reads the first."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(example.CHANNELS, 6, 3)
        self.fc = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.fc(
            nn.functional.adaptive_max_pool2d(self.conv(x), 1).flatten(1)
        )
        return pooled


@pytest.mark.parametrize("numerics", list(NUMERICS))
def test_one_of_several_results_is_rounded_as_it_is_taken_out(numerics: str) -> None:
    started = example.quantized(Picks, numerics)
    assert set(insertion.find_weight_quantizers(started.model)) == {"conv", "fc"}
    with torch.no_grad():
        got = started.model(example.images(8))
        assert (got - example.made(Picks)(example.images(8))).abs().mean() < 0.1 * got.std()


@pytest.mark.parametrize(("count", "read"), [(7, 1), (8, 1), (9, 2), (16, 2), (99, 3)])
def test_no_more_batches_are_read_than_so_many_images_take(count: int, read: int) -> None:
    taken: list[int] = []

    def batches() -> Iterator[tuple[torch.Tensor]]:
        for number in range(3):
            taken.append(number)
            yield example.inputs(8, seed=number)

    ((first,),) = post_training._first(batches, count)
    assert torch.equal(first, torch.cat([example.images(8, seed=n) for n in range(3)])[:count])
    assert len(taken) == read


def test_batches_of_one_shape_are_joined_as_long_as_they_follow_one_another() -> None:
    sizes = [(4, 5), (4, 5), (4, 9), (4, 5)]
    few = post_training._first(lambda: [(torch.zeros(size),) for size in sizes], 14)
    assert [tuple(x.shape) for (x,) in few] == [(8, 5), (4, 9), (2, 5)]
    assert [tuple(x.shape) for (x,) in post_training._rows(few, 9)] == [(8, 5), (1, 9)]


def answers_and_what_is_allowed(module: torch.fx.GraphModule) -> tuple[torch.Tensor, float]:
    """By `rewriting`: a thousandth of the spread and a hundred-thousandth of the largest."""
    want = rewriting.compute_answers(module, [example.inputs(16)])[0][0].double()
    spread = float((want - want.mean(0)).abs().max())
    return want, 1e-3 * spread + 1e-5 * float(want.abs().max())


@pytest.mark.parametrize(("times", "fits"), [(0.7, True), (1.5, False)])
def test_off_by_more_than_is_allowed_is_not_the_same(times: float, fits: bool) -> None:
    module, inputs = example.folded(), example.inputs(16)
    want, allowed = answers_and_what_is_allowed(module)
    want[3, 1] += times * allowed
    with nullcontext() if fits else pytest.raises(RuntimeError, match="change answers by 1.5"):
        post_training._require_same(module, [inputs], [(want,)])


@pytest.mark.parametrize(("times", "harmful"), [(0.7, ()), (1.5, ("second",))])
def test_an_equalization_that_is_off_by_more_is_taken_back(
    times: float, harmful: tuple[str, ...]
) -> None:
    module, inputs = example.folded(), example.inputs(16)
    want, allowed = answers_and_what_is_allowed(module)
    bias = module.get_parameter("fc.bias")
    before, part = bias.detach().clone(), 1 + times * allowed / float(bias.detach().abs().max())
    none, shifts = torch.ones(len(bias)), torch.full((len(bias),), part)
    changes = [
        equalization.Change("first", none, (), (bias,)),
        equalization.Change("second", shifts, (), (bias,)),
    ]
    assert post_training._equalized(module, changes, [inputs], [(want,)]) == harmful
    after = before if harmful else before * part
    torch.testing.assert_close(bias.detach(), after, rtol=1e-6, atol=0)
