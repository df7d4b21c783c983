"""Layers are stored where that is estimated to be faster, and the disk and the recipe allow it."""

from __future__ import annotations

import pytest

from edgekd.learn.knowledge.choosing import AnswerWork
from edgekd.learn.knowledge.choosing import choose_layers

WORK = AnswerWork(
    samples=1000, stored_a_sample=4, live_a_sample=40, row_bytes=500, values=250, answer_s=0.01
)
PLENTY = 10**12


def test_seconds_and_bytes_are_those_of_every_view_and_every_epoch() -> None:
    choice = choose_layers(WORK, PLENTY, PLENTY)
    assert choice.is_stored and choice.why == "storing is faster"
    assert choice.stored_bytes == 1000 * 4 * 500
    assert choice.live_s == pytest.approx(1000 * 40 * 0.01)
    assert choice.stored_s == pytest.approx(40 + 2e6 / 2.5e8 + 1000 * 40 * 1000 / 1e9)


@pytest.mark.parametrize(
    ("change", "free", "limit", "why"),
    [
        ({"stored_a_sample": 40}, PLENTY, PLENTY, "storing is no faster"),
        ({"stored_a_sample": 38}, PLENTY, PLENTY, "storing is no faster"),
        ({"answer_s": 1e-9}, PLENTY, PLENTY, "storing is no faster"),
        ({}, 2_000_000 * 2 - 1, PLENTY, "the disk has too little room"),
        ({}, PLENTY, 2_000_000 - 1, "storing takes more than knowledge.disk_limit_gb"),
    ],
)
def test_what_does_not_pay_or_fit_is_computed(
    change: dict[str, float], free: int, limit: int, why: str
) -> None:
    choice = choose_layers(WORK._replace(**change), free, limit)
    assert (choice.is_stored, choice.why) == (False, why)
    assert choose_layers(WORK, 2_000_000 * 2, 2_000_000).is_stored
