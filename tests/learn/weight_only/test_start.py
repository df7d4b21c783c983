"""A decoder's weights in blocks, without training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edgekd.learn.quant import distance
from edgekd.learn.weight_only import insertion
from edgekd.learn.weight_only import scales
from edgekd.learn.weight_only.formats import BlockChoice
from edgekd.learn.weight_only.start import METHODS
from edgekd.learn.weight_only.start import quantize_weights
from edgekd.progress import Silent
from tests.block_example import INTERFACE
from tests.block_example import decoder
from tests.block_example import texts

CHOICE = BlockChoice("int4", 32, True, "int8", "int8")


def test_what_answers_most_like_the_float_model_is_kept() -> None:
    model, data = decoder(), texts()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = quantize_weights(model, INTERFACE, CHOICE, lambda: data)
    assert set(found.tried) == set(METHODS) and found.method == min(
        found.tried, key=found.tried.__getitem__
    )
    assert found.method == "gptq" and found.tried["gptq"] < 0.6 * found.tried["nearest"]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    judged = [tuple(each[:16] for each in data[0]), data[1]]
    with torch.no_grad():
        want = [(model(*inputs),) for inputs in judged]
    off = distance.mean_distance(found.model, want, lambda: judged, INTERFACE.outputs)  # type: ignore[arg-type]
    assert abs(off - found.tried["gptq"]) < 1e-9


class Heard(Silent):
    """Keeps how far it is said to be."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, int, str]] = []

    def update(self, done: int, total: int, text: str) -> None:
        self.parts.append((done, total, text))


def test_each_layer_is_told_and_its_scales_are_searched_once_for_what_they_are_searched_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, heard, search = [], Heard(), scales.search_scales

    def count(weight: torch.Tensor, *about: Any) -> scales.BlockScales:
        asked.append(tuple(weight.shape))
        return search(weight, *about)

    monkeypatch.setattr(scales, "search_scales", count)
    found = quantize_weights(decoder(), INTERFACE, CHOICE, texts, progress=heard)
    names = list(found.plan.formats)
    tables = [name for name in names if isinstance(decoder().get_submodule(name), nn.Embedding)]
    assert tables and len(asked) == 2 * len(names) - len(tables)  # no inputs weigh a table
    want = [f"{method}: {name}" for method in METHODS for name in names]
    assert [text for _, _, text in heard.parts] == want
    assert [done for done, _, _ in heard.parts] == list(range(len(want)))
    assert {total for _, total, _ in heard.parts} == {len(want)}


def test_layers_are_stored_as_asked_and_smaller_blocks_are_told() -> None:
    found = quantize_weights(decoder(), INTERFACE, CHOICE, texts, rounding="nearest")
    forms = found.plan.formats
    assert (forms["classifier"].bits, forms["words"].bits, forms["layers.0.mlp.0"].bits) == (
        8,
        8,
        4,
    )
    assert forms["layers.0.mlp.2"].group == 32 and forms["layers.0.mlp.0"].group == 16
    assert "layers.0.mlp.0: blocks of 16, no larger ones divide its inputs" in found.notes()
    rows = {row["layer"]: row for row in found.summary()["layers"]}
    assert rows["words"]["parameters"] == 96 * 48 and rows["layers.0.mlp.0"]["why"]


def test_layers_left_in_float() -> None:
    choice = BlockChoice("int4", 32, True, "float", "float", ("layers.1.mlp.2",))
    found = quantize_weights(decoder(), INTERFACE, choice, texts, rounding="nearest")
    assert not {"classifier", "words", "layers.1.mlp.2"} & set(found.plan.formats)
    with pytest.raises(ValueError, match="float_layers: got 'norm'"):
        quantize_weights(decoder(), INTERFACE, choice._replace(float_layers=("norm",)), texts)


def test_inputs_that_no_block_divides_stay_float() -> None:
    model = nn.Sequential(nn.Linear(20, 32), nn.Linear(32, 8)).eval()
    data = [(torch.randn(40, 20, generator=torch.Generator().manual_seed(0)),)]
    found = quantize_weights(
        model, INTERFACE._replace(outputs=()), CHOICE, lambda: data, rounding="nearest"
    )
    assert list(found.plan.formats) == ["1"] and "20" in found.plan.in_float["0"]
    with pytest.raises(ValueError, match="no linear layer"):
        quantize_weights(nn.Sequential(nn.Linear(20, 4)), INTERFACE, CHOICE, lambda: data)


def test_tied_weights_stay_tied() -> None:
    model = decoder()
    model.classifier.weight = model.words.weight  # type: ignore[union-attr, assignment]
    found = quantize_weights(model, INTERFACE, CHOICE, texts, rounding="least-squares")
    layers = insertion.find_layers(found.model)
    assert layers["classifier"].weight is layers["words"].weight
    assert torch.equal(layers["classifier"].module.weight, layers["words"].module.weight)
