"""What configurations of timm and transformers say of images, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from edgekd.errors import InputError
from edgekd.learn.preprocessing import Preprocessing
from edgekd.learn.preprocessing import name_timm_classes
from edgekd.learn.preprocessing import read_timm
from edgekd.learn.preprocessing import read_transformers

TIMM = {
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "input_size": [3, 224, 160],
    "interpolation": "bicubic",
    "crop_pct": 0.875,
    "fixed_input_size": True,
}
VIT: dict[str, Any] = {
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.25, 0.25, 0.25],
    "size": {"height": 384, "width": 384},
    "resample": 2,
}


@pytest.mark.parametrize("config", [TIMM, {"architecture": "resnet18", "pretrained_cfg": TIMM}])
def test_timm(config: dict[str, Any]) -> None:
    found = read_timm(config, "x")
    assert found == Preprocessing(
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        channels=3,
        height=224,
        width=160,
        has_fixed_size=True,
        interpolation="bicubic",
        crop=0.875,
    )
    assert found.describe() == "224x160 bicubic"


def test_transformers() -> None:
    found = read_transformers({"image_size": 384, "num_channels": 3}, VIT, "x")
    assert found == Preprocessing(
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        channels=3,
        height=384,
        width=384,
        has_fixed_size=True,
        interpolation="bilinear",
    )


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        ({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 192}}, (224, 192)),
        ({"size": 256, "crop_size": 224}, (224, 224)),
        ({"size": 256, "crop_size": 224, "do_center_crop": False}, (256, 256)),
        ({"size": {"shortest_edge": 200}}, (200, 200)),
        ({}, (None, None)),
    ],
)
def test_what_is_cut_out_counts_before_what_is_scaled(
    fields: dict[str, Any], want: tuple[int | None, int | None]
) -> None:
    found = read_transformers({}, fields, "x")
    assert (found.height, found.width) == want and not found.has_fixed_size


def test_pixels_that_are_scaled_otherwise_are_the_same_numbers() -> None:
    """BiT: pixel / 127.5 - 1 is (pixel / 255 - 0.5) / 0.5."""
    said = {"image_mean": [1.0], "image_std": [1.0], "rescale_factor": 1 / 127.5}
    found = read_transformers({}, said, "x")
    assert found.mean == pytest.approx((0.5,)) and found.std == pytest.approx((0.5,))
    plain = read_transformers({}, {**VIT, "do_normalize": False}, "x")
    assert (plain.mean, plain.std) == ((0.0,), (1.0,))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"mean": "x"}, "mean"),
        ({"std": []}, "std"),
        ({"input_size": [3, 224]}, "input_size"),
        ({"input_size": [3, -1, 2]}, "height"),
    ],
)
def test_nonsense_is_refused_by_name(change: dict[str, Any], key: str) -> None:
    with pytest.raises(InputError, match=f"net: {key}"):
        read_timm({**TIMM, **change}, "net")


def test_class_names() -> None:
    named = {"label_names": ["n1", "n2"], "label_descriptions": {"n1": "tench, Tinca tinca"}}
    assert name_timm_classes(named) == ("tench, Tinca tinca", "n2")
    assert name_timm_classes({"num_classes": 12}) == ()
