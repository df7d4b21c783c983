"""Quantizers are put in by name, found again, and refused where they cannot stand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.learn.quant import insertion
from edgekd.learn.quant import rewriting
from edgekd.profile import NUMERICS
from tests import quant_example as example

VECTORS = Interface(
    (Tensor("values", "float32", ("batch", 4)),), (Tensor("logits", "float32", ("batch", 4)),)
)


def test_found_again_in_order_with_their_bits() -> None:
    module = insertion.insert_quantizers(
        example.folded(), NUMERICS["asymmetric-w7"], weight_bits={"conv2": 4, "fc": 8}
    )
    assert list(insertion.find_activation_quantizers(module)) == [
        "images",
        "relu1",
        "conv2",
        "relu2",
        "pool",
    ]
    bits = {
        name: quantizer.bits for name, quantizer in insertion.find_weight_quantizers(module).items()
    }
    assert bits == {"conv1": 7, "conv2": 4, "fc": 7}  # never more than the numerics say
    assert insertion.is_quantized(module) and not insertion.is_quantized(example.made())


def test_probabilities_keep_their_range() -> None:
    module = insertion.insert_quantizers(
        example.folded(example.Tokens), NUMERICS["asymmetric"], forms=example.INT8_ATTENTION
    )
    (fixed,) = [
        site for site in insertion.find_activation_quantizers(module).values() if not site.learns
    ]
    assert fixed.step() == pytest.approx(1 / 255) and not fixed.log_step.requires_grad


def test_bits_for_no_layer_are_refused() -> None:
    with pytest.raises(ValueError, match="weight_bits: got 'conv7'"):
        insertion.insert_quantizers(
            example.folded(), NUMERICS["asymmetric"], weight_bits={"conv7": 4}
        )


def test_a_flat_name_can_be_read_again() -> None:
    assert insertion.flatten_name("layer1.0.conv1").replace("/", ".") == "layer1.0.conv1"
    assert "." not in insertion.flatten_name("layer1.0.conv1")


@pytest.mark.parametrize("name", ["to", "half", "type", "forward"])
def test_no_name_hides_what_a_module_has_by_itself(name: str) -> None:
    assert not hasattr(nn.Module(), insertion.flatten_name(name))
    assert insertion.flatten_name(name).strip("/") == name


def test_an_operator_named_like_a_method_can_be_quantized() -> None:
    class Cast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.fc((images * 2).to(images.dtype))

    folded, _ = rewriting.trace_and_rewrite(Cast().eval(), VECTORS, [(torch.rand(3, 4),)])
    inserted = insertion.insert_quantizers(folded, NUMERICS["asymmetric"])
    assert "to" in insertion.find_activation_quantizers(inserted)
