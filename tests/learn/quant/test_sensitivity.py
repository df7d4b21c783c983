"""The table has every layer, worst first, and sees which one was spoilt."""

from __future__ import annotations

import copy

import torch

from edgekd.learn.quant import insertion
from edgekd.learn.quant import rewriting
from edgekd.learn.quant import sensitivity
from tests import quant_example as example


def test_the_layer_with_two_bits_is_worst() -> None:
    module = copy.deepcopy(example.quantized().model)
    want = rewriting.compute_answers(example.made(), example.BATCHES())
    quantizer = insertion.find_weight_quantizers(module)["conv2"]
    with torch.no_grad():
        quantizer.log_step += 4  # 55 times the step: a handful of levels are left
    rows = sensitivity.measure_costs(module, want, example.BATCHES, example.INTERFACE.outputs)
    assert {row.layer for row in rows} == {"conv1", "conv2", "fc"}
    assert rows[0].layer == "conv2" and rows[0].weight_distance > 20 * rows[1].total_distance()
    assert [r.total_distance() for r in rows] == sorted(
        (r.total_distance() for r in rows), reverse=True
    )
    assert {row.layer: row.parameters for row in rows}["fc"] == 160


def test_it_leaves_the_model_as_it_was() -> None:
    module = example.quantized().model
    with torch.no_grad():
        before = module(example.images(4))
        want = rewriting.compute_answers(example.made(), example.BATCHES())
        sensitivity.measure_costs(module, want, example.BATCHES, example.INTERFACE.outputs)
        assert torch.equal(module(example.images(4)), before)


def test_a_layer_knows_the_quantizer_of_its_input_through_a_flatten() -> None:
    module = example.quantized().model
    inputs = {
        sensitivity.find_weight_name(module, node): sensitivity.find_input_quantizer(module, node)
        for node in module.graph.nodes
        if sensitivity.find_weight_name(module, node)
    }
    assert {name: site.path for name, site in inputs.items() if site is not None} == {
        "conv1": "images",
        "conv2": "relu1",
        "fc": "pool",
    }
