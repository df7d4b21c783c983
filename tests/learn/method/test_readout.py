"""One vector a sample, from any kind of features."""

from __future__ import annotations

import pytest
import torch

from edgekd.learn.method.readout import average_places
from edgekd.learn.method.readout import first_two_samples
from edgekd.learn.method.readout import require_unmixed
from tests.learn.schemes import online_example as example


def test_places_are_averaged_whatever_the_layout() -> None:
    maps = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    tokens = maps.flatten(2).transpose(1, 2)
    assert torch.allclose(average_places(maps), average_places(tokens))
    assert average_places(maps)[1, 2].item() == pytest.approx(sum(range(100, 120)) / 20)
    vectors = torch.randn(2, 3)
    assert average_places(vectors) is vectors


def test_two_samples_have_the_shapes_that_a_network_takes() -> None:
    (images,) = first_two_samples(example.samples(), example.CPU)
    assert images.shape == (2, 1, example.SIDE, example.SIDE)


@pytest.mark.parametrize("views", [{"mixup": 0.2}, {"cutmix": 1.0}])
def test_mixed_views_are_refused(views: dict[str, float]) -> None:
    require_unmixed(example.samples())
    with pytest.raises(ValueError, match="want one class each"):
        require_unmixed(example.samples(**views))
