from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from scipy.stats import binom

from edgekd.bench import saturation

HASWELL, ICELAKE = ["ssse3", "avx2"], ["ssse3", "avx2", "avx512_vnni"]


def noisy(seed: int, noise: float, samples: int = 200) -> tuple[np.ndarray, ...]:
    """Logits of a trained model, answers that differ by normal noise, and the right classes."""
    rng = np.random.default_rng(seed)
    reference = rng.normal(0, 3, (samples, 10)).astype(np.float32)
    labels = reference.argmax(1)
    return reference, reference + rng.normal(0, noise, reference.shape), labels


def int8_layer(clip: bool, weight_bits: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """One layer in float and in int8: uint8 inputs, int8 weights, pairs summed in 16 bits if `clip`.

    An independent model of vpmaddubsw: products of neighbours, their sum clipped to int16.
    """
    rng = np.random.default_rng(seed)
    inputs = rng.integers(0, 256, (200, 64)) * (rng.random((200, 64)) < 0.7)
    weights = rng.normal(0, 1, (64, 10))
    scale = np.abs(weights).max() / (2 ** (weight_bits - 1) - 1)
    whole = np.rint(weights / scale).astype(np.int64)
    products = (inputs[:, :, None] * whole).reshape(200, 32, 2, 10).sum(2)
    if clip:
        products = products.clip(-(2**15), 2**15 - 1)
    return inputs @ weights / 255, products.sum(1) * scale / 255


@pytest.mark.parametrize(("bits", "sound"), [(8, False), (7, True)])
def test_the_arithmetic_that_clips_is_told_from_the_one_that_does_not(
    bits: int, sound: bool
) -> None:
    reference, right = int8_layer(False, bits)
    _, here = int8_layer(True, bits)
    seen = saturation.check_saturation(reference, here, measured=right)
    assert seen.is_sound is sound and seen.signs == (() if sound else ("logits",))
    assert seen == saturation.check_saturation(
        reference, here, stated_rms=saturation.rms(reference, right)
    )


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), noise=st.sampled_from([0.0, 1e-6, 0.05, 0.3]))
def test_the_same_noise_again_is_sound(seed: int, noise: float) -> None:
    """The stated noise is of other samples than the device's, as it may be in use."""
    stated = saturation.rms(*noisy(seed + 20_000, noise)[:2])
    reference, answers, _ = noisy(seed, noise, samples=64)
    assert saturation.check_saturation(reference, answers, stated_rms=stated).is_sound


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), noise=st.sampled_from([0.05, 0.3]))
def test_one_and_a_half_times_the_noise_is_not(seed: int, noise: float) -> None:
    reference, answers, _ = noisy(seed, 1.5 * noise, samples=64)
    seen = saturation.check_saturation(reference, answers, stated_rms=noise)
    assert seen.signs == ("logits",)


def test_lost_classes_alone_speak() -> None:
    reference, measured, _ = noisy(0, 0.3)
    labels = measured.argmax(1)
    answers = measured.copy()
    for row in range(5):  # of 200, 5 are beyond rounding (0.4 %), 4 are not (1.9 %)
        answers[row, labels[row]] = np.sort(measured[row])[-2] - 1e-3

    def look(**known: np.ndarray) -> saturation.SaturationCheck:
        return saturation.check_saturation(reference, answers, stated_rms=10.0, **known)

    seen = look(measured=measured, labels=labels)
    assert (seen.lost, seen.won, seen.signs) == (5, 0, ("accuracy",))
    assert look(measured=measured).is_sound and look(labels=labels).is_sound
    answers[0] = measured[0]
    seen = look(measured=measured, labels=labels)
    assert seen.is_sound and "4 right answers lost, 0 won" in seen.text()


@given(lost=st.integers(0, 30), right=st.integers(0, 2000))
def test_chance_is_the_binomial_tail(lost: int, right: int) -> None:
    want = binom.sf(lost - 1, right, saturation.FLIPS)
    assert saturation.rounding_chance(lost, right) == pytest.approx(want, abs=1e-12)


def test_not_a_number_is_never_sound() -> None:
    reference, answers, _ = noisy(0, 0.1)
    answers[3, 2] = math.nan
    assert not saturation.check_saturation(reference, answers, stated_rms=1.0).is_sound


def test_too_little_or_unlike_is_refused() -> None:
    reference, answers, _ = noisy(0, 0.1)
    for one, other in ((reference[:31], answers[:31]), (reference, answers[:, :9])):
        with pytest.raises(ValueError, match="want the same"):
            saturation.check_saturation(one, other, stated_rms=1.0)
    with pytest.raises(ValueError, match="got neither"):
        saturation.check_saturation(reference, answers)


def test_the_cause_is_named_only_where_it_can_be() -> None:
    assert "7 bits" in saturation.explain_cause(HASWELL)
    assert "something else" in saturation.explain_cause(ICELAKE)
    assert "something else" in saturation.explain_cause([])
