"""Every encoding gives back what it stored, to within what it says; what it cannot hold it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgekd.learn.knowledge.fidelity import compute_divergence
from edgekd.learn.knowledge.rows import RowCode
from edgekd.learn.knowledge_settings import KnowledgeSettings

NUMBERS = st.floats(-6e4, 6e4, width=32, allow_nan=False)


def code(*shapes: tuple[int, ...], **said: Any) -> RowCode:
    return RowCode(KnowledgeSettings(**said), shapes)


def bound(encoding: str, values: np.ndarray) -> np.ndarray:
    """What the settings promise, by other arithmetic: float64, from the values alone."""
    wide = values.astype(np.float64)
    if encoding == "fp32":
        return np.zeros_like(wide)
    if encoding in ("fp16", "bf16"):
        return np.abs(wide) * {"fp16": 2.0**-11, "bf16": 2.0**-8}[encoding] + 2.0**-25
    low, high = wide.min(1, keepdims=True), wide.max(1, keepdims=True)
    lowered = (np.abs(low) * 2.0**-10 + 2.0**-23) / 255  # the least value is stored in fp16, too
    step = ((high - low) / 255 + lowered) * (1 + 2.0**-10) + 2.0**-23
    return np.broadcast_to(step / 2 + 1e-6 * np.abs(wide).max(1, keepdims=True), wide.shape)


@pytest.mark.parametrize("encoding", ["fp32", "fp16", "bf16", "int8"])
@settings(max_examples=30, deadline=None)
@given(values=arrays.arrays(np.float32, (3, 7), elements=NUMBERS))
def test_all_values_come_back_within_the_bound(encoding: str, values: np.ndarray) -> None:
    rows = code((7,), encoding=encoding)
    (found,) = rows.decode(rows.encode((values,)))
    assert (np.abs(found.astype(np.float64) - values) <= bound(encoding, values)).all()


@pytest.mark.parametrize("base", [1000.3, -1000.3, 3000.9])
def test_int8_reaches_both_ends_of_an_answer_far_from_zero(base: float) -> None:
    values = np.linspace(base, base + 1, 9, dtype=np.float32)[None]
    rows = code((9,), encoding="int8")
    (found,) = rows.decode(rows.encode((values,)))
    assert (np.abs(found - values) <= bound("int8", values)).all()


def test_fp32_is_the_same_bits_in_any_shape_with_infinities_below() -> None:
    values = np.random.default_rng(0).normal(size=(3, 2, 2)).astype(np.float32)
    values[0, 0, 0], logits = -0.0, np.array([[1, -np.inf]] * 3, np.float32)
    rows = code((2, 2), (2,), encoding="fp32")
    found = rows.decode(rows.encode((values, logits)))
    assert found[0].tobytes() == values.tobytes() and found[1].tobytes() == logits.tobytes()


@pytest.mark.parametrize("encoding", ["fp32", "fp16", "bf16", "int8"])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_likeliest_and_the_weight_of_the_rest(encoding: str, temperature: float) -> None:
    logits = np.random.default_rng(1).normal(0, 3, (6, 50)).astype(np.float32)
    rows = code((50,), encoding=encoding, top_k=8, temperature=temperature)
    (found,) = rows.decode(rows.encode((logits,)))
    order = np.argsort(-logits, 1)
    likeliest, rest = order[:, :8], order[:, 8:]
    top, got = (np.take_along_axis(each, likeliest, 1) for each in (logits, found))
    assert (np.abs(got - top) <= bound(encoding, top)).all()
    others = np.take_along_axis(found, rest, 1)
    assert (others == others[:, :1]).all()
    want = np.exp(np.take_along_axis(logits.astype(np.float64), rest, 1) / temperature).sum(1)
    np.testing.assert_allclose(np.exp(others.astype(np.float64) / temperature).sum(1), want, 2e-5)


def test_the_divergence_of_a_cut_is_that_of_the_rest_alone() -> None:
    """KL(p || q) where q is exact but for a rest that is shared out evenly: by hand."""
    logits = np.log(np.array([[0.5, 0.3, 0.15, 0.05]])).astype(np.float32)
    rows = code((4,), encoding="fp32", top_k=2)
    (found,) = rows.decode(rows.encode((logits,)))
    want = 0.15 * np.log(0.15 / 0.1) + 0.05 * np.log(0.05 / 0.1)
    assert compute_divergence(logits, found)[0] == pytest.approx(want, rel=1e-5)


def test_as_many_as_there_are_is_all_of_them() -> None:
    rows = code((5,), encoding="fp16", top_k=9)
    assert rows.classes == 0 and rows.dtype.itemsize == 10


@pytest.mark.parametrize("classes", [10, 1000, 70_000])
@pytest.mark.parametrize("top_k", [None, 4, 64])
@pytest.mark.parametrize("encoding", ["fp32", "fp16", "bf16", "int8"])
def test_a_row_has_the_size_that_the_settings_say(encoding: Any, top_k: Any, classes: int) -> None:
    said = KnowledgeSettings(encoding=encoding, top_k=top_k)
    assert RowCode(said, ((classes,),)).dtype.itemsize == said.row_bytes(classes)


def test_sizes_that_are_promised() -> None:
    assert KnowledgeSettings(encoding="int8", top_k=64).row_bytes(1000) == 200
    assert KnowledgeSettings().row_bytes(10) == 20


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ({"encoding": "fp32"}, np.nan),
        ({"encoding": "fp32"}, np.inf),
        ({"encoding": "fp32", "top_k": 1}, -np.inf),
        ({"encoding": "fp16"}, 7e4),
        ({"encoding": "bf16"}, 3.4e38),
        ({"encoding": "int8"}, -np.inf),
    ],
)
def test_what_cannot_be_held_is_refused(said: dict[str, Any], value: float) -> None:
    with pytest.raises(ValueError, match="got a value"):
        code((2,), **said).encode((np.array([[value, 0]], np.float32),))


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="shapes"):
        code((2,), encoding="fp16").encode((np.zeros((1, 3), np.float32),))
