"""Moments summed over batches against one big matrix; the last factor's regression against lstsq."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from edgekd.errors import InputError
from edgekd.fields.image import Image
from edgekd.learn.arrays import Calibration
from edgekd.learn.lowrank import chain
from edgekd.learn.lowrank import moments
from tests import data_example

IMAGE = Image(height=5, width=6, channels=2, mean=(0.5, 0.4), std=(0.2, 0.3))


def calibration(count: int = 70) -> Calibration:
    images = np.random.default_rng(0).integers(0, 256, (count, 5, 6, 2), dtype=np.uint8)
    found = data_example.labelled(IMAGE, data_example.names(2))
    rows = {"images": images, "labels": np.zeros(count, np.int64)}
    return Calibration(found, rows, np.arange(count), 0)


def net(*, bias: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, (2, 1), (1, 0), bias=bias),
        nn.ReLU(inplace=True),  # spoils what the convolution gave
        nn.Flatten(2),
        nn.Linear(12, 5),
    ).eval()


def inputs(data: Calibration) -> torch.Tensor:
    return torch.from_numpy(IMAGE.apply(data.rows["images"]))


def test_streamed_moments_are_those_of_all_patches() -> None:
    model, data = net(), calibration()
    parts = {"0": chain.describe_layer(model[0]), "3": chain.describe_layer(model[3])}
    found = dict(moments.second_moments(model, parts, data))
    x = inputs(data)
    patches = F.unfold(x, 3, padding=(1, 0), stride=(2, 1)).transpose(1, 2).flatten(0, 1).double()
    torch.testing.assert_close(found["0"], patches.T @ patches / len(patches))
    with torch.no_grad():
        rows = model[:3](x).reshape(-1, 12).double()
    torch.testing.assert_close(found["3"], rows.T @ rows / len(rows))


def test_many_places_are_sampled_alike_in_both_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "PLACES", 5)
    data, dense = calibration(), net()
    part = chain.describe_layer(dense[0])
    x = inputs(data)
    places = moments.draw_places(x, part, 7)
    assert len(places) == len(set(places.tolist())) == 5
    model = copy.deepcopy(dense)
    weights = [torch.randn(3, 2, 3, 3), torch.randn(4, 3, 1, 1)]
    chain.replace_layer(
        model, "0", chain.build_chain(chain.split_layer(part, "reshape", (3,)), weights)
    )
    with torch.no_grad():  # so that the target is a linear function of what the last factor sees
        dense[0].weight.copy_(torch.einsum("or,rihw->oihw", weights[1][:, :, 0, 0], weights[0]))
    squares, products = moments.regression_moments(dense, "0", model, data)
    solved = torch.linalg.solve(squares, products.T).T
    torch.testing.assert_close(solved, weights[1].flatten(1).double(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("bias", [True, False])
def test_the_regression_is_numpys_least_squares(bias: bool) -> None:
    data, dense = calibration(), net(bias=bias)
    model = copy.deepcopy(dense)
    parts = chain.split_layer(chain.describe_layer(dense[0]), "spatial", (3,))
    chain.replace_layer(model, "0", chain.build_chain(parts))
    squares, products = moments.regression_moments(dense, "0", model, data)
    x = inputs(data)
    with torch.no_grad():
        z = F.unfold(model[0][0](x), (1, 3)).transpose(1, 2).flatten(0, 1)
        y = F.conv2d(x, dense[0].weight, None, (2, 1), (1, 0))
        y = y.flatten(2).transpose(1, 2).flatten(0, 1)
    want, *_ = np.linalg.lstsq(z.double().numpy(), y.double().numpy(), rcond=None)
    np.testing.assert_allclose(torch.linalg.solve(squares, products.T), want, atol=1e-6)


def test_what_is_not_finite_names_its_layer() -> None:
    model, data = net(), calibration(3)
    with torch.no_grad():
        model[0].weight.fill_(float("nan"))
    with pytest.raises(InputError, match="^3: got numbers that are not finite"):
        list(moments.second_moments(model, {"3": chain.describe_layer(model[3])}, data))


def test_sums_that_do_not_fit_take_more_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = net(), calibration()
    parts = {"0": chain.describe_layer(model[0]), "3": chain.describe_layer(model[3])}
    want = dict(moments.second_moments(model, parts, data))
    monkeypatch.setattr(moments, "MOST_BYTES", 1)
    assert list(moments._groups(parts)) == [["0"], ["3"]]
    for path, found in moments.second_moments(model, parts, data):
        torch.testing.assert_close(found, want[path])
