"""What a layer may become: each offer's error is the one that its outputs on the calibration images have."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.fields.image import Image
from edgekd.learn.arrays import Calibration
from edgekd.learn.lowrank import chain
from edgekd.learn.lowrank import factors
from edgekd.learn.lowrank import layers
from edgekd.learn.lowrank import offers
from edgekd.learn.lowrank import table
from edgekd.learn.lowrank.search import SplitOutcome
from edgekd.progress import Silent
from tests import data_example

IMAGE = Image(height=6, width=6, channels=1, mean=(0.5,), std=(0.3,))
WANTED = offers.OfferRequest("auto", "measured", 0.9, 4, 3, True)


def calibration(count: int = 40) -> Calibration:
    images = np.random.default_rng(0).integers(0, 256, (count, 6, 6, 1), dtype=np.uint8)
    found = data_example.labelled(IMAGE, data_example.names(2))
    rows = {"images": images, "labels": np.zeros(count, np.int64)}
    return Calibration(found, rows, np.arange(count), 0)


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 24, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24 * 16, 20),
    ).eval()


def looked_at(model: nn.Module, data: Calibration) -> list[layers.LayerUse]:
    images = torch.from_numpy(IMAGE.apply(data.rows["images"]))
    return layers.find_layers(model, images, smallest=16)


def test_only_layers_that_may_be_split_get_offers_and_in_their_order() -> None:
    model, data = net(), calibration()
    sites = looked_at(model, data)
    assert [bool(site.reason) for site in sites] == [True, False, False]
    unplain = layers.LayerUse("0", None, (1, 6, 6), "")
    made = offers.make_offers(model, [unplain, *sites[1:]], data, WANTED, Silent())
    assert [layer.path for layer in made] == ["2", "5"]
    for layer in made:
        assert layer.offers and layer.dense.structure == offers.DENSE
        assert {offer.structure for offer in layer.offers} <= {
            "svd",
            "reshape",
            "spatial",
            "tucker2",
        }
        assert all(offer.parameters < layer.dense.parameters for offer in layer.offers)


@pytest.mark.parametrize("aware", [True, False])
def test_the_error_of_an_offer_is_that_of_its_outputs_on_the_images(aware: bool) -> None:
    model, data = net(), calibration()
    wanted = WANTED._replace(data_aware=aware)
    made = offers.make_offers(model, looked_at(model, data), data, wanted, Silent())
    linear = next(layer for layer in made if layer.path == "5")
    inputs = torch.from_numpy(IMAGE.apply(data.rows["images"]))
    with torch.no_grad():
        rows = model[:5](inputs).double()
    weight = model[5].weight.detach().double()
    moments = rows.T @ rows / len(rows)
    counted = moments if aware else torch.eye(len(moments), dtype=torch.float64)
    for offer in linear.offers:
        split = factors.factorize(weight[:, :, None, None], counted, offer.structure, offer.ranks)
        apart = rows @ (weight - factors.multiply_factors(split).flatten(1)).T
        wanted_error = (apart.square().sum() / (rows @ weight.T).square().sum()).item()
        assert offer.error == pytest.approx(wanted_error, rel=1e-4, abs=1e-9)
    assert [o.error for o in linear.offers] == sorted(
        (o.error for o in linear.offers), reverse=True
    )


def test_ranks_by_energy_and_by_noise_are_one_offer_a_structure() -> None:
    model, data = net(), calibration()
    sites = looked_at(model, data)
    for kind in ("energy", "evbmf"):
        for layer in offers.make_offers(model, sites, data, WANTED._replace(ranks=kind), Silent()):
            structures = [offer.structure for offer in layer.offers]
            assert len(structures) == len(set(structures))


def test_the_weight_of_a_layer_has_four_axes() -> None:
    conv, linear = nn.Conv2d(3, 5, (2, 4)), nn.Linear(7, 6)
    assert offers.read_weight(conv).shape == (5, 3, 2, 4)
    assert offers.read_weight(linear).shape == (6, 7, 1, 1)
    assert torch.equal(offers.read_weight(linear)[:, :, 0, 0].float(), linear.weight)


def test_the_account_of_a_search_tells_of_every_layer() -> None:
    model, data = net(), calibration()
    sites = looked_at(model, data)
    made = offers.make_offers(model, sites, data, WANTED, Silent())
    told = table.build_table(
        sites, made, SplitOutcome({}, None, (), False, "stays dense: nothing pays")
    )
    assert (told["status"], told["end_to_end"], told["budget_met"]) == ("dense", None, False)
    assert [row["path"] for row in told["layers"]] == ["0", "2", "5"]
    assert [row["decision"] for row in told["layers"]] == ["dense"] * 3
    assert told["layers"][0]["candidates"] == []
    assert len(told["layers"][1]["candidates"]) == len(made[0].offers)
    assert told["layers"][2]["parameters"] == chain.describe_layer(model[5]).parameters
