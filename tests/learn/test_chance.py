"""Is a teacher near chance, and why."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.learn import chance


def answers(labels: np.ndarray, right: dict[int, float], classes: int) -> np.ndarray:
    """Logits that are right on the given share of each class, else name the next class."""
    said = labels.copy()
    for number, share in right.items():
        of_class = np.flatnonzero(labels == number)
        said[of_class[round(share * len(of_class)) :]] = (number + 1) % classes
    return np.eye(classes, dtype=np.float32)[said]


def test_a_rare_class_counts_as_much_as_a_common_one() -> None:
    labels = np.array([0] * 950 + [1] * 50)
    good = chance.standing(answers(labels, {0: 0.92, 1: 0.86}, 2), labels)
    assert good == pytest.approx((0.89, 0.5)) and not good.is_near_chance
    # right on 95 %, by naming the commonest class alone
    always = chance.standing(np.eye(2, dtype=np.float32)[np.zeros_like(labels)], labels)
    assert always == (0.5, 0.5) and always.is_near_chance


def test_a_tenth_of_the_way_is_near_chance() -> None:
    labels = np.repeat(np.arange(10), 100)
    for share, near in ((0.18, True), (0.20, False)):
        found = chance.standing(answers(labels, dict.fromkeys(range(10), share), 10), labels)
        assert found.is_near_chance is near


def test_classes_without_a_sample_do_not_count() -> None:
    labels = np.repeat(np.arange(4), 10)
    assert chance.standing(np.eye(100, dtype=np.float32)[labels], labels) == (1.0, 0.25)
    alone = np.zeros(5, np.int64)
    assert not chance.standing(np.eye(3, dtype=np.float32)[alone], alone).is_near_chance


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
