"""Is a teacher near chance, and why."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.learn import chance


def test_the_floor_lies_above_naming_the_commonest_class() -> None:
    balanced = np.repeat(np.arange(10), 20)
    assert chance.floor(balanced) == pytest.approx(0.1 + 0.1 * 0.9)
    skewed = np.array([0] * 90 + [1] * 10)
    assert chance.floor(skewed) == pytest.approx(0.9 + 0.1 * 0.1)


def test_a_renaming_is_found() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 5, 200)
    renaming = np.array([3, 0, 4, 1, 2])
    logits = np.eye(5, dtype=np.float32)[renaming[labels]]
    logits[:10] = np.eye(5)[0]
    assert chance.renamed_accuracy(logits, labels) >= 0.95
    guesses = random.normal(size=(200, 5)).astype(np.float32)
    assert chance.renamed_accuracy(guesses, labels) < 0.5


def test_usual_preprocessings_map_pixels_as_they_say() -> None:
    usual = chance.rescalings(3)
    pixel = np.array([255.0, 255.0, 255.0])
    for name, want in {
        "pixels / 255 without mean and std": [1, 1, 1],
        "raw pixels 0 to 255": [255, 255, 255],
        "mean 0.5, std 0.5": [1, 1, 1],
        "ImageNet's mean and std": [
            (1 - m) / s for m, s in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))
        ],
    }.items():
        scale, shift = usual[name]
        np.testing.assert_allclose(pixel * scale + shift, want, rtol=1e-5)
    assert "ImageNet's mean and std" not in chance.rescalings(1)
