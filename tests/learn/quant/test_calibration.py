"""Calibration sees every site, sets steps that fit, and names a site that holds no numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from edgekd.learn.quant import calibration
from edgekd.learn.quant import insertion
from edgekd.learn.quant import post_training
from edgekd.learn.quant import ranges
from edgekd.learn.quant.quantizer import WeightQuantizer
from edgekd.profile import NUMERICS
from tests import quant_example as example


def test_what_is_seen_is_what_the_float_model_holds() -> None:
    model = example.made()
    module = insertion.insert_quantizers(example.folded(), NUMERICS["asymmetric"])
    seen = calibration.observe(module, example.BATCHES)
    held: list[torch.Tensor] = []
    model.relu1.register_forward_hook(lambda _m, _a, output: held.append(output))  # type: ignore[union-attr]
    with torch.no_grad():
        for images in example.batches():
            model(images)
    values = torch.cat(held).numpy().ravel()
    assert seen["relu1"].most == pytest.approx(values.max(), rel=1e-5)
    assert seen["relu1"].counts.sum() == len(values)
    want = np.histogram(values, seen["relu1"].edges())[0]
    assert np.abs(seen["relu1"].counts - want).sum() < 0.01 * len(values)


def test_a_model_is_run_once_over_all_batches() -> None:
    read = 0

    def batches() -> Iterator[tuple[torch.Tensor]]:
        nonlocal read
        for images in example.batches():
            read += len(images)
            yield (images,)

    calibration.observe(
        insertion.insert_quantizers(example.folded(), NUMERICS["asymmetric"]), batches
    )
    assert read == sum(map(len, example.batches()))


@pytest.mark.parametrize("shape", [(7, 64, 14, 14), (5, 32, 56, 56), (3, 5), (1,)])
@pytest.mark.parametrize("count", [64, 1000])
def test_what_is_counted_is_spread_over_channels_and_columns(
    shape: tuple[int, ...], count: int
) -> None:
    places = torch.arange(math.prod(shape)).reshape(shape)
    taken = calibration.subsample(places, count)
    assert min(count, places.numel()) * 0.5 <= len(taken) <= max(count, 1)
    assert len(taken.unique()) == len(taken)
    if len(shape) == 4 and count == 1000:
        column, channel = taken % shape[3], taken // (shape[2] * shape[3]) % shape[1]
        assert len(column.unique()) == shape[3] and len(channel.unique()) == shape[1]


def test_extremes_are_those_of_all_values_and_percentiles_nearly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = insertion.insert_quantizers(example.folded(), NUMERICS["asymmetric"])
    whole = calibration.observe(module, example.BATCHES)["relu1"]
    monkeypatch.setattr(calibration, "COUNTED", 1000)
    part = calibration.observe(module, example.BATCHES)["relu1"]
    assert (part.least, part.most) == (whole.least, whole.most)
    assert part.counts.sum() < 0.5 * whole.counts.sum()
    ends = [ranges.percentile(one, 256, False, share=0.99).most for one in (part, whole)]
    assert ends[0] == pytest.approx(ends[1], rel=0.05)


def test_infinite_activations_are_refused_by_name() -> None:
    module = insertion.insert_quantizers(example.folded(), NUMERICS["asymmetric"])
    with torch.no_grad():
        module.get_parameter("conv2.bias").fill_(float("inf"))
    with pytest.raises(ValueError, match="^conv2: got values that are not finite"):
        calibration.observe(module, example.BATCHES)


@pytest.mark.parametrize("bits", [8, 4])
def test_no_other_clip_of_a_channel_errs_less(bits: int) -> None:
    torch.manual_seed(3)
    weight = torch.randn(5, 40).pow(3)
    quantizer = WeightQuantizer("w", 5, 2, bits=bits)
    steps = calibration.weight_steps(weight, quantizer)

    def errors(steps: torch.Tensor) -> torch.Tensor:
        codes = (weight / steps[:, None]).round().clamp(-quantizer.high, quantizer.high)
        return (codes * steps[:, None] - weight).square().sum(1)

    largest = weight.abs().amax(1)
    least = torch.stack([errors(largest * p / quantizer.high) for p in np.linspace(0.2, 1, 500)])
    assert (errors(steps) <= 1.15 * least.amin(0)).all()
    assert (errors(steps) <= errors(largest / quantizer.high) * 1.0001).all()


@pytest.mark.parametrize(("bits", "part"), [(8, 0.7), (7, 0.6), (4, 0.3), (3, 0.3)])
def test_one_weight_far_out_is_clipped_as_far_as_the_others_reach(bits: int, part: float) -> None:
    """80,000 of them spread evenly up to that part of it: finer steps for them are worth its error."""
    weight = torch.cat([torch.linspace(-part, part, 80_000), torch.ones(1)])[None]
    quantizer = WeightQuantizer("w", 1, 2, bits=bits)
    (step,) = calibration.weight_steps(weight, quantizer).tolist()
    assert step == pytest.approx(part / quantizer.high, rel=0.04)


def test_in_float_a_quantized_model_is_the_folded_one_and_is_put_back() -> None:
    started = post_training.quantize(
        example.made(), example.INTERFACE, NUMERICS["asymmetric"], example.BATCHES, correct=False
    )
    x = example.images(4)
    with torch.no_grad():
        with calibration.disable_quantizers(started.model):
            torch.testing.assert_close(started.model(x), example.made()(x), rtol=1e-3, atol=1e-4)
        assert not torch.allclose(started.model(x), example.made()(x), rtol=1e-6, atol=1e-7)
